//! Datagrams on their way out, gathered so that the kernel takes many of one size to one address at a time (GSO).

use std::net::SocketAddr;

/// No more bytes than this in one call: what an IP packet could hold, less its headers.
const MAX_BATCH: usize = 65_000;

/// How a browser is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// As it should be.
    Udp,
    /// Where its network lets nothing else through (ICE-TCP, RFC 6544): the browser connects, and each datagram goes
    /// behind its length.
    Tcp,
}

/// Datagrams to one address, of one size but for the last, which may be smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// How.
    pub via: Via,
    /// Where to.
    pub to: SocketAddr,
    /// All of them, one behind the other.
    pub bytes: &'a [u8],
    /// The size of each.
    pub segment: usize,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    via: Via,
    to: SocketAddr,
    start: usize,
    end: usize,
    segment: usize,
    count: usize,
}

/// Collects what the forwarder sends. Whoever holds the socket empties it after every step.
#[derive(Debug)]
pub struct Outbox {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    max_segments: usize,
}

impl Outbox {
    /// An empty one, which joins up to `max_segments` datagrams.
    pub fn new(max_segments: usize) -> Self {
        Self { bytes: Vec::new(), spans: Vec::new(), max_segments: max_segments.max(1) }
    }

    /// For sockets that turn out to take fewer at a time.
    pub fn set_max_segments(&mut self, max_segments: usize) {
        self.max_segments = max_segments.max(1);
    }

    pub(crate) fn push(&mut self, via: Via, to: SocketAddr, datagram: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(datagram);
        let end = self.bytes.len();
        if let Some(last) = self.spans.last_mut() {
            // A smaller one may join, and is then the last.
            let room = last.count < self.max_segments && end - last.start <= MAX_BATCH;
            let whole = last.end - last.start == last.count * last.segment;
            if (last.via, last.to) == (via, to) && room && whole && datagram.len() <= last.segment {
                last.end = end;
                last.count += 1;
                return;
            }
        }
        self.spans.push(Span { via, to, start, end, segment: datagram.len(), count: 1 });
    }

    /// What there is to send.
    pub fn batches(&self) -> impl Iterator<Item = Batch<'_>> {
        self.spans.iter().map(|span| Batch {
            via: span.via,
            to: span.to,
            bytes: &self.bytes[span.start..span.end],
            segment: span.segment,
        })
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Forgets what was sent.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect")]

    use super::*;

    fn sizes(outbox: &Outbox) -> Vec<(u16, usize, usize)> {
        outbox.batches().map(|batch| (batch.to.port(), batch.bytes.len(), batch.segment)).collect()
    }

    #[test]
    fn one_size_to_one_address_leaves_at_once_and_a_smaller_one_ends_it() {
        let mut outbox = Outbox::new(64);
        let to = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        for (port, size) in [(1, 100), (1, 100), (1, 40), (1, 40), (1, 41), (2, 41), (2, 41)] {
            outbox.push(Via::Udp, to(port), &vec![0; size]);
        }
        assert_eq!(sizes(&outbox), [(1, 240, 100), (1, 40, 40), (1, 41, 41), (2, 82, 41)]);
        outbox.clear();
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_batch_is_no_longer_than_the_kernel_takes() {
        let mut outbox = Outbox::new(4);
        let to = "127.0.0.1:1".parse().unwrap();
        (0..5).for_each(|_| outbox.push(Via::Udp, to, &[0; 10]));
        assert_eq!(sizes(&outbox), [(1, 40, 10), (1, 10, 10)]);
        let mut outbox = Outbox::new(64);
        (0..60).for_each(|_| outbox.push(Via::Udp, to, &[0; 1_400]));
        assert!(outbox.batches().all(|batch| batch.bytes.len() <= MAX_BATCH));
        assert_eq!(outbox.batches().count(), 2);
    }
}
