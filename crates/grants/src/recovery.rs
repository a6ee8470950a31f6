use ed25519_dalek::{Signature, VerifyingKey};
use gloaming_ids::{AccountId, Context};

/// Whoever asked for the reset did not show that they hold the recovery phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRecoverySignature;

impl std::fmt::Display for BadRecoverySignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the recovery phrase does not belong to this account")
    }
}

impl std::error::Error for BadRecoverySignature {}

/// What a recovery key signs: the account, and a challenge that the server makes fresh for each reset.
pub fn recovery_message(account: AccountId, challenge: &[u8; 32]) -> Context {
    Context::new("recovery-reset").field(account).field(challenge)
}

/// What a recovery key signs at the end of the same reset: account, challenge, and a digest of what is registered for the
/// new password. So nobody on the way can let a reset that was asked for end with a password of their own.
pub fn new_password_message(account: AccountId, challenge: &[u8; 32], digest: &[u8; 32]) -> Context {
    Context::new("recovery-password").field(account).field(challenge).field(digest)
}

/// Whether `signature` over this `account` and `challenge` was made by the phrase behind `public_key`.
pub fn verify_recovery(
    public_key: &[u8; 32],
    account: AccountId,
    challenge: &[u8; 32],
    signature: &[u8; 64],
) -> Result<(), BadRecoverySignature> {
    verify(public_key, &recovery_message(account, challenge), signature)
}

/// Whether the phrase behind `public_key` signed the new password with this `digest`, in the same reset.
pub fn verify_new_password(
    public_key: &[u8; 32],
    account: AccountId,
    challenge: &[u8; 32],
    digest: &[u8; 32],
    signature: &[u8; 64],
) -> Result<(), BadRecoverySignature> {
    verify(public_key, &new_password_message(account, challenge, digest), signature)
}

fn verify(
    public_key: &[u8; 32],
    message: &Context,
    signature: &[u8; 64],
) -> Result<(), BadRecoverySignature> {
    // Strict (no small-order keys): a server that stored a weak key would otherwise accept any signature.
    VerifyingKey::from_bytes(public_key)
        .and_then(|key| key.verify_strict(message.as_bytes(), &Signature::from_bytes(signature)))
        .map_err(|_| BadRecoverySignature)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    #[test]
    fn only_the_phrase_of_this_account_answers_this_challenge() {
        let (account, challenge) = (AccountId::from_bytes([1; 16]), [2; 32]);
        let key = SigningKey::from_bytes(&[3; 32]);
        let public = key.verifying_key().to_bytes();
        let signature = key.sign(recovery_message(account, &challenge).as_bytes()).to_bytes();
        assert_eq!(verify_recovery(&public, account, &challenge, &signature), Ok(()));

        let other_account = AccountId::from_bytes([9; 16]);
        let other_key = SigningKey::from_bytes(&[9; 32]).verifying_key().to_bytes();
        assert!(verify_recovery(&public, other_account, &challenge, &signature).is_err());
        assert!(verify_recovery(&public, account, &[9; 32], &signature).is_err());
        assert!(verify_recovery(&other_key, account, &challenge, &signature).is_err());
        for bit in 0..512 {
            let mut bent = signature;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(verify_recovery(&public, account, &challenge, &bent).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_new_password_is_signed_for_one_reset_and_nothing_else_passes_for_it() {
        let (account, challenge, digest) = (AccountId::from_bytes([1; 16]), [2; 32], [4; 32]);
        let key = SigningKey::from_bytes(&[3; 32]);
        let public = key.verifying_key().to_bytes();
        let signature = key.sign(new_password_message(account, &challenge, &digest).as_bytes()).to_bytes();
        assert_eq!(verify_new_password(&public, account, &challenge, &digest, &signature), Ok(()));
        let other_account = AccountId::from_bytes([9; 16]);
        assert!(verify_new_password(&public, other_account, &challenge, &digest, &signature).is_err());
        assert!(verify_new_password(&public, account, &[9; 32], &digest, &signature).is_err());
        assert!(verify_new_password(&public, account, &challenge, &[9; 32], &signature).is_err());
        assert!(verify_recovery(&public, account, &challenge, &signature).is_err());
        let start = key.sign(recovery_message(account, &challenge).as_bytes()).to_bytes();
        assert!(verify_new_password(&public, account, &challenge, &digest, &start).is_err());
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        let (account, challenge) = (AccountId::from_bytes([1; 16]), [2; 32]);
        // The identity point, for which R = identity and s = 0 satisfies the lax equation for every message.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(verify_recovery(&identity, account, &challenge, &signature).is_err());
    }
}
