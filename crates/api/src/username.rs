use unicode_normalization::UnicodeNormalization;

/// Characters of a user name at most.
pub const MAX_USERNAME: usize = 64;

/// Not a user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user name has 1 to 64 letters, digits, spaces or any of . _ - @ + '")]
pub struct BadUsername;

/// The one spelling of a user name: trimmed, without difference of case or of how its letters are composed (NFKC).
///
/// Two names are the same where these are. This is also the name that both sides give to OPAQUE, so a client calls it
/// before it makes a request.
pub fn username_key(name: &str) -> Result<String, BadUsername> {
    let composed: String = name.nfkc().collect();
    let key: String = composed.trim().to_lowercase().nfkc().collect();
    let fine = |c: char| {
        c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c) || " ._-@+'".contains(c)
    };
    let length = key.chars().count();
    if (1..=MAX_USERNAME).contains(&length) && key.chars().all(fine) { Ok(key) } else { Err(BadUsername) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_read_the_same_are_the_same() {
        for (one, other) in
            [("Ada", "ada"), ("  ada ", "ada"), ("Zoe\u{308}", "zo\u{eb}"), ("ＡＤＡ", "ada"), ("ÀÉ", "àé")]
        {
            assert_eq!(username_key(one), username_key(other), "{one:?}");
        }
        assert_ne!(username_key("ada"), username_key("ida"));
    }

    #[test]
    fn a_name_is_its_own_key_once_it_went_through() {
        for name in ["Ada Lovelace", "İstanbul", "ǅ", "ﬁ", "ᾈ", "अदा", "張偉"] {
            let key = username_key(name).expect(name);
            assert_eq!(username_key(&key), Ok(key.clone()), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_or_seen_is_no_name() {
        let long = "a".repeat(MAX_USERNAME + 1);
        for name in ["", "   ", "a\u{200b}b", "a\nb", "\u{202e}ada", "a/b", "<ada>", &long] {
            assert_eq!(username_key(name), Err(BadUsername), "{name:?}");
        }
        assert!(username_key(&"ä".repeat(MAX_USERNAME)).is_ok());
    }
}
