//! The one ciphersuite, as openmls wants it: X-Wing, AES-128-GCM, SHA-256, Ed25519, from the crates that the rest of the
//! workspace uses. openmls' own provider brings three more signature schemes and two more curves into a browser, and
//! asks the operating system for randomness; here it is an argument, like everywhere in the core.
//!
//! Randomness: a ChaCha20 generator that is stirred with 32 fresh bytes whenever the member is given something to do.

use std::sync::Mutex;

use aes_gcm::{
    Aes128Gcm, KeyInit,
    aead::{Aead, Payload},
};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use gloaming_ids::Entropy;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm128, kdf::HkdfSha256, kem::XWing,
};
use openmls_traits::{
    OpenMlsProvider,
    crypto::OpenMlsCrypto,
    random::OpenMlsRand,
    signatures::{Signer, SignerError},
    types::{
        AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext,
        HpkeConfig, HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use tls_codec::SecretVLBytes;
use zeroize::Zeroizing;

use crate::storage::Storage;

/// The suite of protocol version 1, [`gloaming_room_log::SUITE`].
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519;

/// What openmls draws on: the suite, randomness, and a memory that lasts as long as the member.
pub(crate) struct Provider {
    suite: Suite,
    storage: Storage,
}

pub(crate) struct Suite(Mutex<ChaCha20Rng>);

impl Provider {
    pub(crate) fn new(entropy: &mut dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed);
        Self { suite: Suite(Mutex::new(ChaCha20Rng::from_seed(*seed))), storage: Storage::default() }
    }

    /// Stirs fresh randomness in: who knew the generator's state knows it no longer.
    pub(crate) fn stir(&mut self, entropy: &mut dyn Entropy) {
        let rng = self.suite.0.get_mut().expect(UNPOISONED);
        let (mut seed, mut old) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        entropy.fill(&mut *seed);
        rng.fill_bytes(&mut *old);
        seed.iter_mut().zip(old.iter()).for_each(|(new, old)| *new ^= old);
        *rng = ChaCha20Rng::from_seed(*seed);
    }
}

const UNPOISONED: &str = "nothing panics while it draws";

impl Suite {
    /// A generator for one task: openmls seals a path on several threads at once, and none should wait for another.
    fn child(&self) -> ChaCha20Rng {
        let mut seed = Zeroizing::new([0; 32]);
        self.0.lock().expect(UNPOISONED).fill_bytes(&mut *seed);
        ChaCha20Rng::from_seed(*seed)
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Suite;
    type RandProvider = Suite;
    type StorageProvider = Storage;

    fn storage(&self) -> &Storage {
        &self.storage
    }

    fn crypto(&self) -> &Suite {
        &self.suite
    }

    fn rand(&self) -> &Suite {
        &self.suite
    }
}

impl OpenMlsRand for Suite {
    type Error = CryptoError;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], CryptoError> {
        let mut out = [0; N];
        self.0.lock().expect(UNPOISONED).fill_bytes(&mut out);
        Ok(out)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, CryptoError> {
        let mut out = vec![0; len];
        self.0.lock().expect(UNPOISONED).fill_bytes(&mut out);
        Ok(out)
    }
}

fn sha_256(hash: HashType) -> Result<(), CryptoError> {
    if hash == HashType::Sha2_256 { Ok(()) } else { Err(CryptoError::UnsupportedHashAlgorithm) }
}

fn ed25519(scheme: SignatureScheme) -> Result<(), CryptoError> {
    if scheme == SignatureScheme::ED25519 { Ok(()) } else { Err(CryptoError::UnsupportedSignatureScheme) }
}

fn x_wing(HpkeConfig(kem, kdf, aead): &HpkeConfig) -> Result<(), CryptoError> {
    match (kem, kdf, aead) {
        (HpkeKemType::XWingKemDraft6, HpkeKdfType::HkdfSha256, HpkeAeadType::AesGcm128) => Ok(()),
        _ => Err(CryptoError::UnsupportedCiphersuite),
    }
}

fn aes_128_gcm(
    alg: AeadType,
    key: &[u8],
    nonce: &[u8],
) -> Result<(Aes128Gcm, aes_gcm::Nonce<aes_gcm::aead::consts::U12>), CryptoError> {
    if alg != AeadType::Aes128Gcm {
        return Err(CryptoError::UnsupportedAeadAlgorithm);
    }
    let cipher = Aes128Gcm::new_from_slice(key).map_err(|_| CryptoError::InvalidLength)?;
    let nonce = nonce.try_into().map_err(|_| CryptoError::InvalidLength)?;
    Ok((cipher, nonce))
}

impl OpenMlsCrypto for Suite {
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        if ciphersuite == SUITE { Ok(()) } else { Err(CryptoError::UnsupportedCiphersuite) }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        vec![SUITE]
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        sha_256(hash)?;
        // Extract is one HMAC (RFC 5869 §2.2).
        self.hmac(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        sha_256(hash)?;
        let mut mac =
            <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec().into())
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        sha_256(hash)?;
        let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
        let mut okm = vec![0; okm_len];
        hkdf.expand(info, &mut okm).map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
        Ok(okm.into())
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        sha_256(hash)?;
        Ok(Sha256::digest(data).to_vec())
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let (cipher, nonce) = aes_128_gcm(alg, key, nonce)?;
        cipher.encrypt(&nonce, Payload { msg: data, aad }).map_err(|_| CryptoError::CryptoLibraryError)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let (cipher, nonce) = aes_128_gcm(alg, key, nonce)?;
        cipher.decrypt(&nonce, Payload { msg: ct_tag, aad }).map_err(|_| CryptoError::AeadDecryptionError)
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        ed25519(alg)?;
        let seed = Zeroizing::new(self.random_array()?);
        let key = SigningKey::from_bytes(&seed);
        Ok((seed.to_vec(), key.verifying_key().to_bytes().to_vec()))
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        ed25519(alg)?;
        let key = VerifyingKey::try_from(pk).map_err(|_| CryptoError::CryptoLibraryError)?;
        let signature = signature.try_into().map_err(|_| CryptoError::InvalidSignature)?;
        key.verify_strict(data, &signature).map_err(|_| CryptoError::InvalidSignature)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        ed25519(alg)?;
        let key = SigningKey::try_from(key).map_err(|_| CryptoError::InvalidLength)?;
        Ok(key.sign(data).to_bytes().to_vec())
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        x_wing(&config)?;
        let to = <XWing as Kem>::PublicKey::from_bytes(pk_r).map_err(|_| CryptoError::InvalidLength)?;
        let mut rng = self.child();
        let (encapped, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, XWing>(
            &OpModeS::Base,
            &to,
            info,
            ptxt,
            aad,
            &mut rng,
        )
        .map_err(|_| CryptoError::HpkeEncryptionError)?;
        Ok(HpkeCiphertext { kem_output: encapped.to_bytes().to_vec().into(), ciphertext: ciphertext.into() })
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        x_wing(&config)?;
        let key = <XWing as Kem>::PrivateKey::from_bytes(sk_r).map_err(|_| CryptoError::InvalidLength)?;
        let encapped = <XWing as Kem>::EncappedKey::from_bytes(input.kem_output.as_slice())
            .map_err(|_| CryptoError::HpkeDecryptionError)?;
        hpke::single_shot_open::<AesGcm128, HkdfSha256, XWing>(
            &OpModeR::Base,
            &key,
            &encapped,
            info,
            input.ciphertext.as_slice(),
            aad,
        )
        .map_err(|_| CryptoError::HpkeDecryptionError)
    }

    /// Only external commits need it, and there are none.
    fn hpke_setup_sender_and_export(
        &self,
        _config: HpkeConfig,
        _pk_r: &[u8],
        _info: &[u8],
        _exporter_context: &[u8],
        _exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        Err(CryptoError::SenderSetupError)
    }

    /// Only external commits need it, and there are none.
    fn hpke_setup_receiver_and_export(
        &self,
        _config: HpkeConfig,
        _enc: &[u8],
        _sk_r: &[u8],
        _info: &[u8],
        _exporter_context: &[u8],
        _exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        Err(CryptoError::ReceiverSetupError)
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        x_wing(&config)?;
        let (private, public) = XWing::derive_keypair(ikm);
        Ok(HpkeKeyPair { private: private.to_bytes().to_vec().into(), public: public.to_bytes().to_vec() })
    }
}

/// The key with which a seat signs in the group: made for one seat, and gone with it.
pub(crate) struct SeatSigner(SigningKey);

impl SeatSigner {
    pub(crate) fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed);
        Self(SigningKey::from_bytes(&seed))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}

impl Signer for SeatSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
