//! A URI out of a manifest or a player: whatever resolves is spelled in that one way.

use gloaming_package::Part;

/// See the module.
pub fn check(uri: &str) {
    if let Some(part) = Part::resolve(uri) {
        assert_eq!(part.to_string(), uri);
    }
}
