//! A URI out of a manifest or a player: whatever resolves is spelled in that one way.
#![no_main]

use gloaming_package::Part;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|uri: &str| {
    if let Some(part) = Part::resolve(uri) {
        assert_eq!(part.to_string(), uri);
    }
});
