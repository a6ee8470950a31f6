//! Somebody in a call: a member, and its browser's connection to the forwarder.

use std::time::Duration;

use gloaming_api::room::Notice;
use gloaming_ids::SeatId;
use gloaming_room::{Codec, FrameFault};
use gloaming_sfu::signal::FromForwarder;
use str0m::{format, media::Mid};

use crate::{
    CAMERA, VOICE,
    common::{
        entropy,
        guests::{Guest, Order, SOON},
    },
    support::{Adding, Client, frames},
};

/// Between two frames.
const FRAME: Duration = Duration::from_millis(20);

/// What a track is coded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codecs {
    Voice,
    Camera,
}

impl Codecs {
    fn of_packets(self) -> format::Codec {
        match self {
            Self::Voice => format::Codec::Opus,
            Self::Camera => format::Codec::Vp8,
        }
    }

    fn of_frames(self) -> Codec {
        match self {
            Self::Voice => Codec::Opus,
            Self::Camera => Codec::Vp8,
        }
    }

    fn track(self) -> u16 {
        match self {
            Self::Voice => VOICE,
            Self::Camera => CAMERA,
        }
    }
}

pub(crate) struct Caller {
    pub(crate) guest: Guest,
    pub(crate) client: Client,
    /// Its sections: of voice and of picture.
    pub(crate) mids: Vec<Mid>,
    /// The frames that went out since it was told to forget, before they were sealed.
    sent: [Vec<Vec<u8>>; 2],
    time: u32,
}

/// Somebody who is seated, with a connection to be.
pub(crate) async fn caller(guest: Guest) -> Caller {
    let seat = guest.with(|member| member.seat()).await;
    Caller { guest, client: Client::new(seat, 0), mids: Vec::new(), sent: Default::default(), time: 0 }
}

impl Caller {
    pub(crate) fn seat(&self) -> SeatId {
        self.client.seat
    }

    /// A page that is loaded again has another connection.
    pub(crate) fn begin_anew(&mut self) {
        self.client = Client::new(self.client.seat, 0);
        self.mids.clear();
        self.forget();
    }

    pub(crate) fn forget(&mut self) {
        self.client.got.clear();
        self.sent = Default::default();
    }

    /// Adds sections, and offers through the room's socket.
    pub(crate) fn offer(&mut self, add: impl FnOnce(&mut Adding<'_>) -> Vec<Mid>) {
        let (message, mids) = self.client.offer(add);
        self.mids.extend(mids);
        let text = serde_json::to_string(&message).unwrap();
        assert!(self.guest.orders.send(Order::Text(text)).is_ok());
    }

    /// Sends so many sealed frames of sound, and of picture where there is a section for it.
    pub(crate) async fn talk(&mut self, count: u8) {
        for at in 0..count {
            let mut noise = vec![0; 1_500];
            entropy(&mut noise);
            // A key frame of VP8 says so in its first bit.
            noise[0] = u8::from(at > 0);
            self.send(Codecs::Voice, at == 0, noise[..100].to_vec()).await;
            if self.mids.len() > 1 {
                self.send(Codecs::Camera, at == 0, noise).await;
            }
            self.run(FRAME).await;
        }
    }

    /// Seals and sends one frame.
    async fn send(&mut self, codec: Codecs, key: bool, frame: Vec<u8>) {
        let clear = frame.clone();
        let sealed = self.guest.with(move |member| {
            member.sealer().expect("a member").seal(codec.track(), codec.of_frames(), &clear)
        });
        let sealed = sealed.await.unwrap();
        self.sent[codec as usize].push(frame);
        self.time += 1_800;
        self.client.send_media(self.mids[codec as usize], codec.of_packets(), key, self.time, &sealed);
    }

    /// What it sent, before it was sealed.
    pub(crate) fn sent(&self, codec: Codecs) -> Vec<Option<&Vec<u8>>> {
        self.sent[codec as usize].iter().map(Some).collect()
    }

    /// What came, still sealed.
    pub(crate) fn frames(&self, codec: Codecs) -> Vec<(u32, Vec<u8>)> {
        let got = self.mids.get(codec as usize).and_then(|mid| self.client.got.get(mid));
        frames(codec.of_packets(), got.map_or(&[], Vec::as_slice))
    }

    /// What came from somebody, opened.
    pub(crate) async fn open(&self, from: SeatId, codec: Codecs) -> Vec<Result<Vec<u8>, FrameFault>> {
        let sealed = self.frames(codec);
        let open = move |member: &mut gloaming_room::Member| {
            let leaf = member.peer(from).expect("somebody in the room").leaf;
            let opener = member.opener().expect("a member");
            sealed.iter().map(|(_, frame)| opener.open(leaf, codec.of_frames(), frame)).collect()
        };
        self.guest.with(open).await
    }

    /// Takes what has come. Whether there was anything.
    fn step(&mut self) -> bool {
        let mut busy = false;
        while let Ok(text) = self.guest.texts.try_recv() {
            busy = true;
            match serde_json::from_str::<FromForwarder>(&text) {
                Ok(message) => self.client.hear(message),
                Err(_) => drop(serde_json::from_str::<Notice>(&text).expect("one or the other")),
            }
        }
        self.client.step() || busy
    }

    async fn run(&mut self, lasting: Duration) {
        let end = tokio::time::Instant::now() + lasting;
        while tokio::time::Instant::now() < end {
            self.step();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Lets everybody go on until something is so.
pub(crate) async fn until(callers: &mut [Caller], what: &str, mut so: impl FnMut(&mut [Caller]) -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !so(callers) {
        assert!(tokio::time::Instant::now() < end, "still not {what}");
        if callers.iter_mut().filter_map(|caller| caller.step().then_some(())).count() > 0 {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
