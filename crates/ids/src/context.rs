/// What a key is for (HKDF `info`), or what a sealed message is bound to (AAD).
///
/// ```text
/// "gloaming/v1/" label (length: u32 BE, bytes)*
/// ```
///
/// Labels are lower-case ASCII and a length begins with a zero byte for any field below 16 MiB, so where a label ends
/// is never in doubt, and no list of fields can be read as another list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context(Vec<u8>);

impl Context {
    /// Begins a context. `label` is a constant of the program, never data.
    pub fn new(label: &'static str) -> Self {
        debug_assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(b"gloaming/v1/");
        bytes.extend_from_slice(label.as_bytes());
        Self(bytes)
    }

    /// Adds a field, with its length in front.
    #[must_use]
    pub fn field(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let len = u32::try_from(bytes.len()).expect("a context's field is an id, a digest or a name");
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a number, as eight bytes, big end first.
    #[must_use]
    pub fn number(self, n: impl Into<u64>) -> Self {
        self.field(n.into().to_be_bytes())
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Context {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_its_label_and_length_prefixed_fields() {
        let context = Context::new("test").field(b"ab").number(7u32);
        assert_eq!(context.as_bytes(), b"gloaming/v1/test\0\0\0\x02ab\0\0\0\x08\0\0\0\0\0\0\0\x07");
    }

    #[test]
    fn moving_a_byte_from_one_field_to_the_next_changes_the_context() {
        assert_ne!(Context::new("t").field(b"ab").field(b"c"), Context::new("t").field(b"a").field(b"bc"));
    }
}
