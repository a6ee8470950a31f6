//! A track on its way to one viewer.

use std::{sync::Arc, time::Instant};

use str0m::{
    media::{Mid, Pt},
    rtp::{ExtensionValues, RtpWrite, Ssrc, VideoOrientation},
};

use crate::{
    payload::{Codec, Shape},
    rewrite::{Numbers, Rewriter},
    signal::Want,
    source::SourceKey,
};

/// A packet that passed the gate.
pub(crate) struct Passed {
    pub(crate) layer: usize,
    pub(crate) codec: Codec,
    pub(crate) shape: Shape,
    pub(crate) numbers: Numbers,
    pub(crate) marker: bool,
    pub(crate) orientation: Option<VideoOrientation>,
    pub(crate) payload: Arc<[u8]>,
}

/// A receive-only section of a viewer's offer.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) mid: Mid,
    /// Under which the viewer gets it.
    pub(crate) ssrc: Ssrc,
    /// Payload types that the viewer takes.
    pub(crate) types: Vec<(Codec, Pt)>,
    pub(crate) source: Option<SourceKey>,
    pub(crate) want: Want,
    /// The layer that the viewer gets, and the one it is to get once a key frame of it comes.
    pub(crate) current: Option<usize>,
    pub(crate) target: Option<usize>,
    /// Nothing more until the next key frame: what came before is lost on the viewer.
    pub(crate) stalled: bool,
    /// The network does not take what is there already.
    pub(crate) backlogged: bool,
    /// What the viewer was told last.
    pub(crate) told: Option<Option<usize>>,
    rewriter: Rewriter,
}

impl Route {
    pub(crate) fn new(mid: Mid, ssrc: Ssrc, types: Vec<(Codec, Pt)>) -> Self {
        Self {
            mid,
            ssrc,
            types,
            source: None,
            want: Want::default(),
            current: None,
            target: None,
            stalled: true,
            backlogged: false,
            told: None,
            rewriter: Rewriter::default(),
        }
    }

    /// From now on another track, or none, goes this way.
    pub(crate) fn connect(&mut self, source: Option<SourceKey>) {
        if self.source != source {
            self.source = source;
            (self.current, self.target, self.stalled, self.told) = (None, None, true, None);
        }
    }

    /// Which layer the viewer should get. What it gets changes with the next key frame of that layer.
    pub(crate) fn aim(&mut self, layer: Option<usize>) {
        self.target = layer;
        if layer.is_none() {
            (self.current, self.stalled) = (None, true);
        }
    }

    /// The layer of which a key frame is needed before anything can go on.
    pub(crate) fn waits_for(&self) -> Option<usize> {
        self.target.filter(|_| !self.backlogged && (self.stalled || self.current != self.target))
    }

    /// Forward this packet? As what?
    pub(crate) fn forward(&mut self, packet: &Passed) -> Option<RtpWrite> {
        let pt = self.types.iter().find(|(codec, _)| *codec == packet.codec)?.1;
        if self.target == Some(packet.layer) && self.waits_for().is_some() && packet.shape.key {
            self.rewriter.begin(&packet.numbers, &packet.shape);
            (self.current, self.stalled) = (self.target, false);
        }
        if self.current != Some(packet.layer) || self.stalled {
            return None;
        }
        let numbers = self.rewriter.renumber(&packet.numbers, &packet.shape)?;
        let payload = match numbers.picture {
            Some((picture, tl0)) => packet.shape.renumbered(&packet.payload, picture, tl0).into(),
            None => packet.payload.clone(),
        };
        let extensions =
            ExtensionValues { video_orientation: packet.orientation, ..ExtensionValues::default() };
        let captured: Instant = packet.numbers.captured;
        let write = RtpWrite::new(pt, numbers.seq.into(), numbers.time, captured, payload)
            .marker(packet.marker)
            .ext_vals(extensions)
            // The browsers' Opus comes without retransmissions.
            .nackable(packet.codec.is_video());
        Some(write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(layer: usize, seq: u64, key: bool) -> Passed {
        Passed {
            layer,
            codec: Codec::Vp8,
            shape: Shape { key, ..Shape::default() },
            numbers: Numbers { seq, time: 0, rate: 90_000, captured: Instant::now() },
            marker: true,
            orientation: None,
            payload: Arc::from([0; 4]),
        }
    }

    #[test]
    fn a_viewer_keeps_the_old_layer_until_a_key_frame_of_the_new_one_comes() {
        let mut route = Route::new("0".into(), 1.into(), vec![(Codec::Vp8, 96.into())]);
        let forwards = |route: &mut Route, layer, seq, key| route.forward(&packet(layer, seq, key)).is_some();
        assert!(!forwards(&mut route, 0, 1, true), "nothing is aimed at");
        route.aim(Some(0));
        assert_eq!(route.waits_for(), Some(0));
        assert!(!forwards(&mut route, 0, 2, false), "a viewer begins with a key frame");
        assert!(forwards(&mut route, 0, 3, true));
        assert_eq!(route.waits_for(), None);
        route.aim(Some(1));
        assert_eq!(route.waits_for(), Some(1));
        assert!(!forwards(&mut route, 1, 500, false));
        assert!(forwards(&mut route, 0, 4, false), "meanwhile the old one goes on");
        assert!(forwards(&mut route, 1, 501, true));
        assert!(!forwards(&mut route, 0, 5, true), "one layer at a time");
        assert!(forwards(&mut route, 1, 502, false));
        route.stalled = true;
        assert!(!forwards(&mut route, 1, 503, false));
        assert!(forwards(&mut route, 1, 504, true));
        route.aim(None);
        assert!(!forwards(&mut route, 1, 505, true));
    }
}
