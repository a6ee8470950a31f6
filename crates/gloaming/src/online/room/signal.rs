//! What two seats say to each other to connect: the page's own words (`web/src/room/link.svelte.ts`), as JSON.

use serde::{Deserialize, Serialize};

/// The places of a connection, by their numbers: those are the tracks in the key ids of frames.
pub(super) const SLOTS: [Slot; 4] = [
    Slot { name: "mic", video: false },
    Slot { name: "camera", video: true },
    Slot { name: "screen", video: true },
    Slot { name: "sound", video: false },
];
pub(super) const MIC: usize = 0;
pub(super) const CAMERA: usize = 1;
pub(super) const SCREEN: usize = 2;
pub(super) const SOUND: usize = 3;

/// A place of a connection.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    pub(super) video: bool,
}

/// To one seat.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Signal {
    Offer {
        session: String,
        sdp: String,
    },
    Answer {
        session: String,
        sdp: String,
    },
    Candidates {
        session: String,
        candidates: Vec<Candidate>,
    },
    /// To whoever offers: begin anew, or look for a way again.
    Again {
        session: String,
        anew: bool,
    },
}

/// As browsers write it; of its fields only this one counts.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub(super) candidate: String,
}

/// To everybody: which places hold something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sending {
    pub(super) mic: bool,
    pub(super) camera: bool,
    pub(super) screen: bool,
    pub(super) sound: bool,
    /// The height of the screen, 0 without one.
    #[serde(default)]
    pub(super) lines: u32,
}

impl Sending {
    /// The places that hold something.
    pub(super) fn slots(self) -> impl Iterator<Item = usize> {
        let Self { mic, camera, screen, sound, .. } = self;
        [(MIC, mic), (CAMERA, camera), (SCREEN, screen), (SOUND, sound)]
            .into_iter()
            .filter_map(|(slot, has)| has.then_some(slot))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    #[test]
    fn a_browsers_words_are_understood() {
        let said = r#"{"kind":"candidates","session":"s","candidates":[{"candidate":"candidate:1 1 udp 2 10.0.0.1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"x"}]}"#;
        let Signal::Candidates { candidates, .. } = serde_json::from_str(said).unwrap() else { panic!() };
        assert!(candidates[0].candidate.starts_with("candidate:1 "));
        let again = Signal::Again { session: "s".into(), anew: true };
        assert_eq!(serde_json::to_string(&again).unwrap(), r#"{"kind":"again","session":"s","anew":true}"#);
    }
}
