use bip39::Language;
use gloaming_ids::Entropy;
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

/// A password that a server could guess offline, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this password is too easy to guess. {suggestion}")]
pub struct WeakPassword {
    /// In plain words, for whoever chose it; repeats no part of the password.
    pub suggestion: String,
}

/// Characters of a password at least. NIST SP 800-63B asks for 8, and for 15 where nothing else is asked beside it; here
/// each guess costs 128 MiB and what zxcvbn finds guessable is refused besides, so that 10 stand between.
const MIN_CHARS: usize = 10;

/// Refuses what is short, or could be guessed in fewer than about 10⁸ tries (zxcvbn's score below 3). `known` is what a
/// guesser would try first: the user's name, the server's.
pub fn check_password(password: &str, known: &[&str]) -> Result<(), WeakPassword> {
    let estimate = zxcvbn(password, known);
    let long = password.chars().count() >= MIN_CHARS;
    if !long && estimate.score() >= Score::Three {
        let suggestion = format!("Use at least {MIN_CHARS} characters: a few unusual words do.");
        return Err(WeakPassword { suggestion });
    }
    if long && estimate.score() >= Score::Three {
        return Ok(());
    }
    let mut suggestion = Vec::new();
    if let Some(feedback) = estimate.feedback() {
        suggestion.extend(feedback.warning().map(|warning| warning.to_string()));
        suggestion.extend(feedback.suggestions().iter().map(ToString::to_string));
    }
    if suggestion.is_empty() {
        suggestion.push("Make it longer: a few unusual words do.".to_owned());
    }
    Err(WeakPassword { suggestion: suggestion.join(" ") })
}

/// Six random words of BIP39's English list: 66 bits, each guess at Argon2id's price.
pub fn generate_passphrase(entropy: &mut dyn Entropy) -> Zeroizing<String> {
    // Room for six of the longest words (eight letters), so that the text never moves and leaves a copy.
    let mut phrase = Zeroizing::new(String::with_capacity(6 * 9));
    for i in 0..6 {
        let mut bytes = Zeroizing::new([0; 2]);
        entropy.fill(bytes.as_mut_slice());
        if i > 0 {
            phrase.push(' ');
        }
        // 2048 words: eleven bits choose one, each as likely as another.
        phrase.push_str(Language::English.word_list()[usize::from(u16::from_be_bytes(*bytes) & 0x7ff)]);
    }
    phrase
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_password_is_refused_in_words_that_help_and_do_not_repeat_it() {
        for weak in ["", "a", "iloveyou", "qwertyuiop", "letmein123", "19840101", "aaaaaaaaaaaaaaaa"] {
            let refused = check_password(weak, &[]).expect_err(weak);
            assert!(refused.suggestion.len() > 10, "{weak}: {refused}");
            assert!(weak.len() < 8 || !refused.suggestion.to_lowercase().contains(weak), "{weak}: {refused}");
        }
    }

    #[test]
    fn a_short_password_is_refused_however_odd_it_is() {
        for short in ["Tr0ub4dor", "x9$Kq!v2z", "ß€水ñØ7#k?"] {
            let refused = check_password(short, &[]).expect_err(short);
            assert!(refused.suggestion.contains("10 characters"), "{short}: {refused}");
        }
        assert_eq!(check_password("x9$Kq!v2zW", &[]), Ok(()));
        assert_eq!(check_password("ß€水ñØ7#k?ю", &[]), Ok(()), "characters, not bytes");
    }

    #[test]
    fn what_a_guesser_would_try_first_does_not_count() {
        let password = "marguerite.lebrun";
        assert_eq!(check_password(password, &[]), Ok(()));
        assert!(check_password(password, &["marguerite.lebrun"]).is_err());
    }

    #[test]
    fn passphrases_are_strong_and_each_has_six_words_of_the_list() {
        let mut n = 0u64;
        for _ in 0..50 {
            let phrase = generate_passphrase(&mut |out: &mut [u8]| {
                for byte in out {
                    n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    *byte = n.to_be_bytes()[0];
                }
            });
            assert!(phrase.split(' ').all(|word| Language::English.find_word(word).is_some()));
            assert_eq!(phrase.split(' ').count(), 6);
            assert_eq!(check_password(&phrase, &["owner"]), Ok(()), "{}", *phrase);
        }
        assert_eq!(*generate_passphrase(&mut |out: &mut [u8]| out.fill(0xff)), ["zoo"; 6].join(" "));
    }
}
