//! The recovery phrase: 256 random bits as twenty-four words (BIP39, English), for the day the password is gone.
//!
//! It yields a key that wraps the account key, and an Ed25519 key whose signature alone may start a reset: neither the
//! server nor whoever reads the account's mail can.

use bip39::{Language, Mnemonic};
use ed25519_dalek::{Signer, SigningKey};
use gloaming_ids::{AccountId, Context, Entropy};
use zeroize::Zeroizing;

use crate::derive::derive;

const WORDS: usize = 24;

/// The twenty-four words. Wiped when dropped; prints nothing.
pub struct RecoveryPhrase {
    entropy: Zeroizing<[u8; 32]>,
}

/// What is wrong with a phrase that somebody typed. Says where, and never repeats a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Words are missing, or there are too many.
    #[error("a recovery phrase has 24 words, and these are {found}")]
    WordCount {
        /// How many words there were.
        found: usize,
    },
    /// A word that is in no phrase.
    #[error("word {position} is not one a recovery phrase can contain")]
    UnknownWord {
        /// Which word it is, counting from one.
        position: usize,
    },
    /// Each word exists, but together they are no phrase.
    #[error("these words do not belong together: one is wrong, or two have changed places")]
    Checksum,
}

impl PhraseError {
    /// A stable name, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::WordCount { .. } => "phrase_word_count",
            Self::UnknownWord { .. } => "phrase_unknown_word",
            Self::Checksum => "phrase_checksum",
        }
    }
}

impl RecoveryPhrase {
    /// A new phrase.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut_slice());
        Self { entropy: bytes }
    }

    /// Reads what somebody typed: any spacing and case, numbered or not ("1. abandon").
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let text = Zeroizing::new(text.to_lowercase());
        let words: Vec<&str> =
            text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
        for (i, word) in words.iter().enumerate() {
            if Language::English.find_word(word).is_none() {
                return Err(PhraseError::UnknownWord { position: i + 1 });
            }
        }
        if words.len() != WORDS {
            return Err(PhraseError::WordCount { found: words.len() });
        }
        let normalised = Zeroizing::new(words.join(" "));
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &normalised)
            .map_err(|_| PhraseError::Checksum)?;
        let (all, length) = mnemonic.to_entropy_array();
        let all = Zeroizing::new(all);
        let entropy = all[..length].try_into().expect("24 words are 32 bytes");
        Ok(Self { entropy: Zeroizing::new(entropy) })
    }

    /// The words, in order: what somebody writes down.
    pub fn words(&self) -> [&'static str; WORDS] {
        let mnemonic = Mnemonic::from_entropy_in(Language::English, self.entropy.as_slice())
            .expect("32 bytes is a length that BIP39 knows");
        let mut words = mnemonic.words();
        std::array::from_fn(|_| words.next().expect("32 bytes are 24 words"))
    }

    /// The key that signs resets.
    pub fn recovery_key(&self) -> RecoveryKey {
        let seed = Zeroizing::new(derive(self.entropy(), &Context::new("recovery-sign")));
        RecoveryKey(SigningKey::from_bytes(&seed))
    }

    pub(crate) fn entropy(&self) -> &[u8; 32] {
        &self.entropy
    }
}

impl std::fmt::Debug for RecoveryPhrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryPhrase(..)")
    }
}

/// Signs the start of a reset. The account is registered with its public key, and the server checks the signature
/// with [`gloaming_grants::verify_recovery`].
pub struct RecoveryKey(SigningKey);

impl RecoveryKey {
    /// What the server keeps.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Answers the server's `challenge`: whoever holds the phrase wants `account` reset.
    pub fn sign_reset(&self, account: AccountId, challenge: &[u8; 32]) -> [u8; 64] {
        self.0.sign(gloaming_grants::recovery_message(account, challenge).as_bytes()).to_bytes()
    }

    /// Signs what is registered for the new password, by its digest, at the end of the same reset.
    pub fn sign_new_password(&self, account: AccountId, challenge: &[u8; 32], digest: &[u8; 32]) -> [u8; 64] {
        self.0.sign(gloaming_grants::new_password_message(account, challenge, digest).as_bytes()).to_bytes()
    }
}

impl std::fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "vectors are constants")]

    use super::*;

    /// The reference vectors of BIP39 (`trezor/python-mnemonic`, vectors.json) with 256 bits of entropy.
    const BIP39: [(&str, &str); 3] = [
        (
            "0000000000000000000000000000000000000000000000000000000000000000",
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art",
        ),
        (
            "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
            "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title",
        ),
        (
            "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
            "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length",
        ),
    ];

    #[test]
    fn a_phrase_is_bip39s() {
        for (entropy, words) in BIP39 {
            let bytes = hex::decode(entropy).unwrap();
            let phrase = RecoveryPhrase::generate(&mut |out: &mut [u8]| out.copy_from_slice(&bytes));
            assert_eq!(phrase.words().join(" "), words);
            assert_eq!(hex::encode(RecoveryPhrase::parse(words).unwrap().entropy()), entropy);
        }
    }

    #[test]
    fn a_phrase_reads_back_however_it_was_typed() {
        let words = BIP39[1].1;
        let numbered: String =
            words.split(' ').enumerate().map(|(i, w)| format!("{}. {w}\n", i + 1)).collect();
        for typed in [words.to_uppercase(), format!("  {}\t\r\n", words.replace(' ', " \n ")), numbered] {
            assert_eq!(hex::encode(RecoveryPhrase::parse(&typed).unwrap().entropy()), BIP39[1].0);
        }
    }

    #[test]
    fn a_wrong_phrase_says_where_it_is_wrong_and_repeats_nothing() {
        let words = BIP39[2].1;
        let fail = |text: &str| RecoveryPhrase::parse(text).unwrap_err();
        assert_eq!(fail(""), PhraseError::WordCount { found: 0 });
        assert_eq!(fail("hamster diagram"), PhraseError::WordCount { found: 2 });
        assert_eq!(fail(&format!("{words} zoo")), PhraseError::WordCount { found: 25 });
        assert_eq!(
            fail(&words.replace("private dutch", "prviate dutch")),
            PhraseError::UnknownWord { position: 3 }
        );
        assert_eq!(fail(&words.replace("hamster diagram", "diagram hamster")), PhraseError::Checksum);
        let said = fail(&words.replace("hamster", "hunter2x")).to_string();
        assert!(!said.contains("hunter"), "{said}");
    }

    /// RFC 8032 §7.1, tests 1 and 2: seed, public key, message, signature.
    #[test]
    fn ed25519_is_rfc_8032s() {
        let vectors = [
            [
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ],
            [
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ],
        ];
        for [seed, public, message, signature] in vectors {
            let key = SigningKey::from_bytes(&hex::decode(seed).unwrap().try_into().unwrap());
            assert_eq!(hex::encode(key.verifying_key().to_bytes()), public);
            assert_eq!(hex::encode(key.sign(&hex::decode(message).unwrap()).to_bytes()), signature);
        }
    }

    #[test]
    fn the_server_believes_the_phrase_and_no_other() {
        let (account, challenge) = (AccountId::from_bytes([1; 16]), [2; 32]);
        let key = RecoveryPhrase::parse(BIP39[2].1).unwrap().recovery_key();
        let other = RecoveryPhrase::parse(BIP39[1].1).unwrap().recovery_key();
        let signature = key.sign_reset(account, &challenge);
        let verify = gloaming_grants::verify_recovery;
        assert!(verify(&key.public_key(), account, &challenge, &signature).is_ok());
        assert!(verify(&other.public_key(), account, &challenge, &signature).is_err());
        assert!(
            verify(&key.public_key(), account, &challenge, &other.sign_reset(account, &challenge)).is_err()
        );
    }
}
