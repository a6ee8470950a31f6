/// Declares types of 32 secret bytes that resist by omission: they cannot be copied, cloned, compared or serialised,
/// print as `Name(..)`, and are wiped when dropped. `expose()` is the one door to the bytes, and so the one name to
/// search for in an audit.
#[macro_export]
macro_rules! secret {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name([u8; 32]);

        impl $name {
            /// A new random secret.
            pub fn generate(entropy: &mut dyn $crate::macro_support::Entropy) -> Self {
                let mut secret = Self([0; 32]);
                entropy.fill(&mut secret.0);
                secret
            }

            /// A secret from its bytes, as read from a seal or derived.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The raw bytes: whoever calls this answers for where they go.
            pub const fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                $crate::macro_support::Zeroize::zeroize(&mut self.0);
            }
        }

        impl $crate::macro_support::ZeroizeOnDrop for $name {}
    )*};
}
