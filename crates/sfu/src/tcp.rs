//! Browsers whose network lets no UDP through: ICE-TCP (RFC 6544), each datagram behind its length (RFC 4571).
//!
//! ```text
//! length(2, big-endian) ‖ datagram
//! ```
//!
//! Two tasks for each connection, which the shard's thread runs. Whoever connects begins with a connectivity check, soon,
//! and is not silent for long. What a connection does not take in time is lost, as it would be over UDP.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::timeout,
};

use crate::limits::Limits;

/// Longer is no datagram of a browser's.
const MAX_DATAGRAM: u16 = 2_048;
/// Datagrams that wait for the shard, of all connections together. Who sends more waits too.
const INCOMING: usize = 256;
/// Writes that wait for a connection.
const OUTGOING: usize = 128;
/// For the first datagram, and for a write.
const SOON: Duration = Duration::from_secs(5);

/// What came over some connection.
pub(crate) enum Incoming {
    Datagram(SocketAddr, Vec<u8>),
    Ended(SocketAddr),
}

/// The connections of one shard.
pub(crate) struct Streams {
    writers: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
    per_address: HashMap<IpAddr, usize>,
    incoming: mpsc::Sender<Incoming>,
    most: usize,
    most_per_address: usize,
    silence: Duration,
}

impl Streams {
    /// None yet, and where what comes over them comes out.
    pub(crate) fn new(limits: &Limits) -> (Self, mpsc::Receiver<Incoming>) {
        let (incoming, came) = mpsc::channel(INCOMING);
        let streams = Self {
            writers: HashMap::new(),
            per_address: HashMap::new(),
            incoming,
            most: limits.streams,
            most_per_address: limits.streams_per_address,
            silence: limits.silence,
        };
        (streams, came)
    }

    /// Somebody connected. Beyond the limits they are hung up on.
    pub(crate) fn take(&mut self, stream: TcpStream, from: SocketAddr) {
        let here = self.per_address.entry(from.ip()).or_default();
        if self.writers.len() >= self.most
            || *here >= self.most_per_address
            || stream.set_nodelay(true).is_err()
        {
            if *here == 0 {
                self.per_address.remove(&from.ip());
            }
            return;
        }
        *here += 1;
        let (reader, writer) = stream.into_split();
        let (queue, queued) = mpsc::channel(OUTGOING);
        self.writers.insert(from, queue);
        tokio::spawn(write(writer, queued));
        let (incoming, silence) = (self.incoming.clone(), self.silence);
        tokio::spawn(async move {
            // However it ended, it ended.
            let _ = read(reader, from, &incoming, silence).await;
            let _ = incoming.send(Incoming::Ended(from)).await;
        });
    }

    /// A connection has ended.
    pub(crate) fn ended(&mut self, from: SocketAddr) {
        if self.writers.remove(&from).is_none() {
            return;
        }
        if let Some(here) = self.per_address.get_mut(&from.ip()) {
            *here -= 1;
            if *here == 0 {
                self.per_address.remove(&from.ip());
            }
        }
    }

    /// Sends datagrams of one size, but for the last, one behind the other in `bytes`.
    pub(crate) fn send(&self, to: SocketAddr, bytes: &[u8], segment: usize) {
        let Some(writer) = self.writers.get(&to) else { return };
        let mut framed = Vec::with_capacity(bytes.len() + 2 * bytes.len().div_ceil(segment.max(1)));
        for datagram in bytes.chunks(segment.max(1)) {
            let Ok(length) = u16::try_from(datagram.len()) else { return };
            framed.extend_from_slice(&length.to_be_bytes());
            framed.extend_from_slice(datagram);
        }
        // What does not fit is lost.
        let _ = writer.try_send(framed);
    }
}

async fn read(
    reader: OwnedReadHalf,
    from: SocketAddr,
    incoming: &mpsc::Sender<Incoming>,
    silence: Duration,
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(4_096, reader);
    let mut first = true;
    loop {
        let patience = if first { SOON } else { silence };
        let datagram = timeout(patience, datagram(&mut reader)).await??;
        if first && !matches!(datagram.first(), Some(0 | 1)) {
            return Ok(());
        }
        first = false;
        if incoming.send(Incoming::Datagram(from, datagram)).await.is_err() {
            return Ok(());
        }
    }
}

async fn datagram(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let length = reader.read_u16().await?;
    if length > MAX_DATAGRAM {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut datagram = vec![0; length.into()];
    reader.read_exact(&mut datagram).await?;
    Ok(datagram)
}

async fn write(mut writer: OwnedWriteHalf, mut queued: mpsc::Receiver<Vec<u8>>) {
    while let Some(framed) = queued.recv().await {
        if !matches!(timeout(SOON, writer.write_all(&framed)).await, Ok(Ok(()))) {
            // Half of a frame may have gone: nothing can follow it. The browser notices, and connects again.
            let _ = writer.shutdown().await;
            return;
        }
    }
}
