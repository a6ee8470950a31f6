use gloaming_ids::Entropy;
use opaque_ke::{
    CipherSuite, Ristretto255, TripleDh,
    rand::{CryptoRng, Error, RngCore},
};

/// The one suite: changing any part of it is another protocol.
pub(crate) struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, sha2_for_opaque::Sha512>;
    type Ksf = argon2::Argon2<'static>;
}

/// The context that both sides agree on (RFC 9807 §3.3): this application, this version.
pub(crate) const CONTEXT: &[u8] = b"gloaming/v1/opaque";

/// Our entropy, as opaque-ke wants to see it.
pub(crate) struct Rng<'a>(pub(crate) &'a mut dyn Entropy);

impl RngCore for Rng<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.0.fill(out);
        Ok(())
    }
}

impl CryptoRng for Rng<'_> {}
