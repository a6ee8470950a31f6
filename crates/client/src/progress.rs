//! How far something long is, how fast it goes, and what it waits for.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use gloaming_ids::UnixMillis;

use crate::{ClientError, Platform};

/// What it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading what the file is.
    Probing,
    /// Sealing and storing packs.
    Sealing,
    /// Sealing and storing the index, and asking the server to keep the video.
    Committing,
    /// Reading back what is stored.
    Checking,
    /// Done.
    Done,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes that are done; those of an earlier run included.
    pub bytes_done: u64,
    /// Bytes in all: exact once everything is sealed, before that the size of the source.
    pub bytes_total: u64,
    /// Packs that are stored.
    pub packs_done: u64,
    /// Over the last seconds.
    pub bytes_per_second: Option<u64>,
    /// At that rate.
    pub seconds_left: Option<u64>,
    /// Why nothing moves, in words, when nothing does.
    pub waiting: Option<String>,
}

/// Counts, and tells whoever listens.
pub(crate) struct Meter<'a, P> {
    platform: Rc<P>,
    listener: &'a dyn Fn(&Progress),
    now: RefCell<Progress>,
    /// Bytes on their way in each request, by its number.
    sent: RefCell<Vec<u64>>,
    began: Cell<UnixMillis>,
    /// Time and bytes moved in this run at the last measurement, and the rate then.
    mark: Cell<(UnixMillis, u64)>,
    moved: Cell<u64>,
    rate: Cell<Option<f64>>,
    told: Cell<UnixMillis>,
}

impl<'a, P: Platform> Meter<'a, P> {
    pub(crate) fn new(platform: Rc<P>, total: u64, listener: &'a dyn Fn(&Progress)) -> Self {
        let now = platform.now();
        Self {
            platform,
            listener,
            now: RefCell::new(Progress {
                phase: Phase::Probing,
                bytes_done: 0,
                bytes_total: total,
                packs_done: 0,
                bytes_per_second: None,
                seconds_left: None,
                waiting: None,
            }),
            sent: RefCell::default(),
            began: Cell::new(now),
            mark: Cell::new((now, 0)),
            moved: Cell::new(0),
            rate: Cell::new(None),
            told: Cell::new(UnixMillis(0)),
        }
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.now.borrow_mut().phase = phase;
        self.tell(true);
    }

    /// Bytes that were done in an earlier run.
    pub(crate) fn skip(&self, bytes: u64, packs: u64) {
        let mut now = self.now.borrow_mut();
        now.bytes_done += bytes;
        now.packs_done += packs;
    }

    /// A request that moves bytes begins; its number is for [`sent`](Meter::sent) and [`done`](Meter::done).
    pub(crate) fn begin(&self) -> usize {
        let mut sent = self.sent.borrow_mut();
        sent.push(0);
        sent.len() - 1
    }

    /// So many bytes of it are on their way.
    pub(crate) fn sent(&self, request: usize, bytes: u64) {
        let before = std::mem::replace(&mut self.sent.borrow_mut()[request], bytes);
        self.moved.set(self.moved.get() + bytes.saturating_sub(before));
        self.tell(false);
    }

    /// It is there: so many bytes count as done.
    pub(crate) fn done(&self, request: usize, bytes: u64, packs: u64) {
        self.sent.borrow_mut()[request] = 0;
        self.skip(bytes, packs);
        self.tell(true);
    }

    /// So many bytes are done, at once.
    pub(crate) fn count(&self, bytes: u64) {
        self.moved.set(self.moved.get() + bytes);
        self.now.borrow_mut().bytes_done += bytes;
        self.tell(false);
    }

    pub(crate) fn wait(&self, reason: Option<String>) {
        if self.now.borrow().waiting != reason {
            self.now.borrow_mut().waiting = reason;
            self.tell(true);
        }
    }

    fn tell(&self, at_once: bool) {
        let time = self.platform.now();
        let (since, bytes) = self.mark.get();
        let elapsed = time.since(since);
        if elapsed >= Duration::from_millis(500) {
            let latest = (self.moved.get() - bytes) as f64 / elapsed.as_secs_f64();
            // Half of the old rate every two seconds: steady enough to read.
            let weight = 0.5f64.powf(elapsed.as_secs_f64() / 2.0);
            self.rate.set(Some(self.rate.get().map_or(latest, |old| old * weight + latest * (1.0 - weight))));
            self.mark.set((time, self.moved.get()));
        }
        if !at_once && time.since(self.told.get()) < Duration::from_millis(100) {
            return;
        }
        self.told.set(time);
        let mut progress = self.now.borrow().clone();
        progress.bytes_done += self.sent.borrow().iter().sum::<u64>();
        progress.bytes_total = progress.bytes_total.max(progress.bytes_done);
        if progress.phase == Phase::Done {
            progress.bytes_total = progress.bytes_done;
        }
        let steady = time.since(self.began.get()) >= Duration::from_secs(2);
        if let Some(rate) =
            self.rate.get().filter(|rate| steady && *rate >= 1.0 && progress.waiting.is_none())
        {
            progress.bytes_per_second = Some(rate as u64);
            progress.seconds_left =
                Some(((progress.bytes_total - progress.bytes_done) as f64 / rate).ceil() as u64);
        }
        (self.listener)(&progress);
    }

    /// Asks until there is an answer: a network that is gone comes back, a server that is busy gets free. What waits says
    /// why. Faults of the server are given a few tries.
    pub(crate) async fn patiently<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        mut ask: impl FnMut() -> F,
    ) -> Result<T, ClientError> {
        let (mut pause, mut faults) = (Duration::from_millis(500), 0);
        loop {
            let wait = match ask().await {
                Err(ClientError::Offline { reason }) => {
                    self.wait(Some(format!("the network is gone ({reason})")));
                    pause
                }
                Err(ClientError::SlowDown { seconds }) => {
                    self.wait(Some("the server is busy".into()));
                    pause.max(Duration::from_secs(seconds.min(60)))
                }
                Err(error @ ClientError::Server { .. }) => {
                    faults += 1;
                    if faults > 5 {
                        return Err(error);
                    }
                    self.wait(Some("the server failed; trying again".into()));
                    pause
                }
                answer => {
                    self.wait(None);
                    return answer;
                }
            };
            self.platform.sleep(jittered(&*self.platform, wait)).await;
            pause = (pause * 2).min(Duration::from_secs(30));
        }
    }
}

/// Between half and all of it, so that many clients don't come back in step.
fn jittered<P: Platform>(platform: &P, pause: Duration) -> Duration {
    let mut byte = [0];
    platform.fill_random(&mut byte);
    pause.mul_f64(0.5 + f64::from(byte[0]) / 512.0)
}
