//! Which way media goes: from each to each, or through the server's forwarder. `web/src/room/topology.ts` decides the same
//! from the same, and has to: every member decides alone, from what all of them know, and so they agree without anybody who
//! leads. While they do not yet, a pair has both ways. A way is given up only when what comes by the other is seen, and
//! whoever is at the other end says the same.

use std::time::{Duration, Instant};

use gloaming_ids::SeatId;
use serde::Serialize;
use serde_json::Value;

/// As many are comfortable in a mesh, in which everything is sent to each.
pub(super) const MESH_SEATS: usize = 4;
/// Fewer, while somebody shares a screen of so many lines.
const LARGE_LINES: u32 = 1080;
/// For so long there have to be few enough before the forwarder is left.
const BACK_AFTER: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    #[default]
    Mesh,
    Forwarder,
}

/// What the decision hangs on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// In the group, this one included.
    pub(super) seats: usize,
    /// The height of the largest screen that is shared; 0 where none is.
    pub(super) lines: u32,
    /// Members do not learn each other's addresses.
    pub(super) hidden: bool,
    /// Two of them found no way to each other.
    pub(super) pathless: bool,
    /// The server has a forwarder, and it can be reached.
    pub(super) forwarder: bool,
}

/// What members say of it to each other: control message 2.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Said {
    pub(super) way: Way,
    /// Whose media is seen by way of the forwarder, rather than over a connection of the two.
    pub(super) forwarded: Vec<SeatId>,
    /// This seat does not find the way to somebody.
    pub(super) pathless: bool,
}

pub(super) fn wanted(facts: Facts) -> Way {
    let Facts { seats, lines, hidden, pathless, forwarder } = facts;
    let most = if lines >= LARGE_LINES { MESH_SEATS - 1 } else { MESH_SEATS };
    if hidden || (forwarder && (seats > most || pathless)) { Way::Forwarder } else { Way::Mesh }
}

#[derive(Debug, Default)]
pub(super) struct Topology {
    way: Way,
    few_since: Option<Instant>,
}

impl Topology {
    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// To the forwarder at once, and back after a while.
    pub(super) fn decide(&mut self, facts: Facts, now: Instant) -> Way {
        let want = wanted(facts);
        // Without a forwarder there is nothing to stay with.
        let waits = self.way == Way::Forwarder && want == Way::Mesh && facts.forwarder;
        self.few_since = waits.then(|| self.few_since.unwrap_or(now));
        if self.few_since.is_none_or(|since| now >= since + BACK_AFTER) {
            self.way = want;
        }
        self.way
    }
}

/// One's own side of a pair, and what the other one said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) way: Way,
    pub(super) hidden: bool,
    /// By which way the other one is seen.
    pub(super) seen: Way,
    pub(super) own: SeatId,
    pub(super) said: Option<&'a Said>,
}

impl Pair<'_> {
    fn they_say(&self, way: Way, forwarded: bool) -> bool {
        self.said.is_some_and(|said| said.way == way && said.forwarded.contains(&self.own) == forwarded)
    }

    /// Whether the two are to have a connection of their own. Where one of them cannot do without, they do.
    pub(super) fn wants_link(&self) -> bool {
        !self.hidden && (self.way == Way::Mesh || self.said.is_some_and(|said| said.way == Way::Mesh))
    }

    /// Whether a connection that the two have is of no more use.
    pub(super) fn link_is_over(&self) -> bool {
        self.way == Way::Forwarder && self.seen == Way::Forwarder && self.they_say(Way::Forwarder, true)
    }

    /// Whether this pair does without the forwarder.
    pub(super) fn forwarder_is_over(&self) -> bool {
        self.way == Way::Mesh && self.seen == Way::Mesh && self.they_say(Way::Mesh, false)
    }
}

impl Said {
    /// What another member said, as far as it can be read.
    pub(super) fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let forwarded = body["forwarded"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            way: if body["way"] == "forwarder" { Way::Forwarder } else { Way::Mesh },
            forwarded: forwarded.iter().filter_map(|seat| seat.as_str()?.parse().ok()).collect(),
            pathless: body["pathless"] == true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    const FACTS: Facts = Facts { seats: 2, lines: 0, hidden: false, pathless: false, forwarder: true };

    fn own() -> SeatId {
        SeatId::from_bytes([7; 16])
    }

    /// As in `web/tests/topology.spec.ts`.
    #[test]
    fn a_room_goes_the_way_that_browsers_take_it_to_go() {
        assert_eq!(wanted(Facts { seats: 4, ..FACTS }), Way::Mesh);
        assert_eq!(wanted(Facts { seats: 5, ..FACTS }), Way::Forwarder);
        assert_eq!(wanted(Facts { seats: 4, lines: 1080, ..FACTS }), Way::Forwarder);
        assert_eq!(wanted(Facts { seats: 4, lines: 720, ..FACTS }), Way::Mesh);
        assert_eq!(wanted(Facts { seats: 3, lines: 2160, ..FACTS }), Way::Mesh);
        assert_eq!(wanted(Facts { pathless: true, ..FACTS }), Way::Forwarder);
        assert_eq!(wanted(Facts { seats: 9, pathless: true, forwarder: false, ..FACTS }), Way::Mesh);
        assert_eq!(wanted(Facts { hidden: true, ..FACTS }), Way::Forwarder);
        assert_eq!(wanted(Facts { hidden: true, forwarder: false, ..FACTS }), Way::Forwarder);
    }

    #[test]
    fn to_the_forwarder_at_once_and_back_only_after_a_while() {
        let (mut topology, start, moment) = (Topology::default(), Instant::now(), Duration::from_millis(1));
        let mut at =
            |seats, forwarder, when| topology.decide(Facts { seats, forwarder, ..FACTS }, start + when);
        assert_eq!(at(4, true, Duration::ZERO), Way::Mesh);
        assert_eq!(at(5, true, moment), Way::Forwarder);
        assert_eq!(at(4, true, 2 * moment), Way::Forwarder);
        assert_eq!(at(5, true, BACK_AFTER + moment), Way::Forwarder);
        assert_eq!(at(4, true, BACK_AFTER + 2 * moment), Way::Forwarder);
        assert_eq!(at(4, true, 2 * BACK_AFTER + 2 * moment), Way::Mesh);
        assert_eq!(at(5, true, 3 * BACK_AFTER), Way::Forwarder);
        // Nothing to stay with.
        assert_eq!(at(5, false, 3 * BACK_AFTER + moment), Way::Mesh);
    }

    #[test]
    fn a_way_is_given_up_only_when_both_sides_see_each_other_by_the_other_one() {
        let said = |way, forwarded| Said { way, forwarded, pathless: false };
        let [there, unseen, mesh, back] = [
            said(Way::Forwarder, vec![own()]),
            said(Way::Forwarder, vec![SeatId::from_bytes([8; 16])]),
            said(Way::Mesh, vec![own()]),
            said(Way::Mesh, vec![]),
        ];
        let pair = |way, seen, said| Pair { way, hidden: false, seen, own: own(), said };
        let over = |seen, said| pair(Way::Forwarder, seen, said).link_is_over();
        assert!(over(Way::Forwarder, Some(&there)));
        assert!(!over(Way::Mesh, Some(&there)));
        assert!(!over(Way::Forwarder, Some(&unseen)) && !over(Way::Forwarder, Some(&mesh)));
        assert!(!over(Way::Forwarder, None));
        let over = |seen, said| pair(Way::Mesh, seen, said).forwarder_is_over();
        assert!(over(Way::Mesh, Some(&back)));
        assert!(!over(Way::Forwarder, Some(&back)) && !over(Way::Mesh, None));
        assert!(!over(Way::Mesh, Some(&mesh)) && !over(Way::Mesh, Some(&unseen)));
        // Who cannot reach the forwarder keeps connections of their own, but where addresses are hidden.
        let pair = pair(Way::Forwarder, Way::Forwarder, Some(&back));
        assert!(pair.wants_link() && !Pair { hidden: true, ..pair }.wants_link());
        assert!(!Pair { said: Some(&there), ..pair }.wants_link());
    }

    #[test]
    fn what_others_say_is_read_for_what_it_is() {
        for nonsense in ["", "[]", "null", r#"{"way":7,"forwarded":"a","pathless":1}"#] {
            assert_eq!(Said::read(nonsense.as_bytes()), Said::default(), "{nonsense}");
        }
        let said = Said { way: Way::Forwarder, forwarded: vec![own()], pathless: true };
        let mut body = serde_json::to_value(&said).unwrap();
        assert_eq!(Said::read(body.to_string().as_bytes()), said);
        body["forwarded"].as_array_mut().unwrap().extend(["a".into(), 7.into(), Value::Null]);
        assert_eq!(Said::read(body.to_string().as_bytes()), said);
        assert!(body.to_string().contains(r#""way":"forwarder""#));
    }
}
