/// SHA-256, by the fastest engine there is: `ring` natively. In a browser, bulk data goes to WebCrypto instead.
#[cfg(not(target_arch = "wasm32"))]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 is 32 bytes")
}

/// SHA-256 of something small: in a browser, bulk data goes to WebCrypto instead.
#[cfg(target_arch = "wasm32")]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// FIPS 180-4's example, from NIST's "SHA-256" example values.
    #[test]
    fn both_engines_agree_with_nist() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(sha256(b"abc")), abc);
        assert_eq!(hex::encode(Sha256::digest(b"abc")), abc);
    }
}
