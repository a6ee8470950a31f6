use std::time::Duration;

/// How much of everything there may be at one forwarder.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time, over all rooms.
    pub peers: usize,
    /// Rooms at a time.
    pub rooms: usize,
    /// Connections of one room.
    pub peers_per_room: usize,
    /// Tracks that one seat sends.
    pub tracks_per_peer: usize,
    /// Tracks that one seat receives.
    pub routes_per_peer: usize,
    /// Simulcast layers of one track.
    pub layers: usize,
    /// Bits a second that are taken from one seat; what is beyond is dropped.
    pub ingress: u64,
    /// Addresses at which one seat is known: a phone that moves between networks leaves some behind.
    pub addresses_per_peer: usize,
    /// TCP connections at a time.
    pub streams: usize,
    /// TCP connections of one address.
    pub streams_per_address: usize,
    /// Answers a second to those who only ask for their own address.
    pub whoami: u32,
    /// What waits for the server to fetch it; the oldest is given up.
    pub events: usize,
    /// So long a connection may take to come about.
    pub patience: Duration,
    /// So long it may be silent.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peers: 1_000,
            rooms: 500,
            peers_per_room: 128,
            tracks_per_peer: 8,
            routes_per_peer: 256,
            layers: 3,
            ingress: 30_000_000,
            addresses_per_peer: 8,
            streams: 1_000,
            streams_per_address: 32,
            whoami: 1_000,
            events: 4_096,
            patience: Duration::from_secs(15),
            silence: Duration::from_secs(20),
        }
    }
}

/// A bucket that fills with time: bytes, answers, whatever there is a rate of.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: f64,
    level: f64,
    at: std::time::Instant,
}

impl Bucket {
    /// Full, with one second's worth.
    pub(crate) fn new(rate: f64, now: std::time::Instant) -> Self {
        Self { rate, level: rate, at: now }
    }

    /// Takes so much, if it is there.
    pub(crate) fn take(&mut self, amount: f64, now: std::time::Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + passed * self.rate).min(self.rate);
        let there = self.level >= amount;
        if there {
            self.level -= amount;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, start);
        assert_eq!((0..20).filter(|_| bucket.take(1.0, start)).count(), 10);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..20).filter(|_| bucket.take(1.0, later)).count(), 5);
        let much_later = start + Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| bucket.take(1.0, much_later)).count(), 10);
    }
}
