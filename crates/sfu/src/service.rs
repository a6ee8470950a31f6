//! Threads and sockets around [`Forwarder`].
//!
//! Each shard is a thread with a socket and a forwarder of its own; a room belongs to one shard, and nothing is shared.
//! The shards' ports follow each other: with one shard, which one core and a gigabit are, there is one port. Sockets
//! that share a port (`SO_REUSEPORT`) would scatter a room's browsers over all shards, by the hash of their addresses.
//!
//! The same port, by TCP, is for browsers whose network lets no UDP through. The UDP port answers a browser of a mesh that asks for its own address (STUN).

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use gloaming_ids::{RoomId, SeatId};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, oneshot},
};

use crate::{
    forwarder::{Config, Counts, Event, Forwarder},
    limits::Limits,
    outbox::{Batch, Outbox, Via},
    signal::ToForwarder,
    tcp::{Incoming, Streams},
};

/// Room for what the kernel hands over in one piece.
const SLOT: usize = 65_536;
/// Kernel buffers, each way. A key frame of a share times the viewers of a room leaves in one burst.
const BUFFER: usize = 4 * 1024 * 1024;
/// Commands that wait for a shard.
const COMMANDS: usize = 1_024;
/// So long a full kernel buffer is waited for, before a datagram is given up. It will be asked for again.
const FULL: Duration = Duration::from_millis(2);
/// Where nobody is connected there is nothing to do.
const IDLE: Duration = Duration::from_secs(60);

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the first shard listens; the others on the ports above. With port 0 every shard has some free port.
    pub listen: SocketAddr,
    /// By which addresses browsers reach this machine, at most one for each family. Empty: the one it listens on.
    pub announce: Vec<IpAddr>,
    /// How many threads.
    pub shards: u16,
    /// For each shard.
    pub limits: Limits,
    /// Whether to listen for TCP on the same ports.
    pub tcp: bool,
    /// See [`Config::estimate`].
    pub estimate: Option<u64>,
}

impl Settings {
    /// One shard, as it should be, at this address.
    pub fn new(listen: SocketAddr) -> Self {
        let Config { limits, estimate, .. } = Config::new(Vec::new());
        Self { listen, announce: Vec::new(), shards: 1, limits, tcp: true, estimate }
    }
}

/// The shard has ended: its thread could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the forwarder has stopped")]
pub struct Gone;

enum Command {
    Members { room: RoomId, epoch: u64, leaves: Vec<(SeatId, u32)> },
    Signal { room: RoomId, seat: SeatId, message: ToForwarder },
    Close { room: RoomId },
    Counts { answer: oneshot::Sender<Counts> },
}

/// The running forwarder. Once the last clone is dropped its threads end.
#[derive(Clone, Debug)]
pub struct Service {
    shards: Vec<Shard>,
}

#[derive(Clone, Debug)]
struct Shard {
    commands: mpsc::Sender<Command>,
    address: SocketAddr,
}

impl Service {
    /// Binds the sockets and starts the threads. Whatever is to be told to seats comes out of the receiver; while nobody
    /// takes it there, up to [`Limits::events`] wait in each shard.
    pub fn start(settings: &Settings) -> io::Result<(Self, mpsc::Receiver<Event>)> {
        let (events, told) = mpsc::channel(COMMANDS);
        let shards = (0..settings.shards.max(1)).map(|at| start_shard(settings, at, events.clone()));
        let shards = shards.collect::<io::Result<_>>()?;
        Ok((Self { shards }, told))
    }

    /// Where each shard listens. Every one of them answers STUN.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.shards.iter().map(|shard| shard.address).collect()
    }

    /// See [`Forwarder::members`].
    pub async fn members(&self, room: RoomId, epoch: u64, leaves: Vec<(SeatId, u32)>) -> Result<(), Gone> {
        self.send(room, Command::Members { room, epoch, leaves }).await
    }

    /// See [`Forwarder::signal`].
    pub async fn signal(&self, room: RoomId, seat: SeatId, message: ToForwarder) -> Result<(), Gone> {
        self.send(room, Command::Signal { room, seat, message }).await
    }

    /// See [`Forwarder::close`].
    pub async fn close(&self, room: RoomId) -> Result<(), Gone> {
        self.send(room, Command::Close { room }).await
    }

    /// What each shard counted.
    pub async fn counts(&self) -> Result<Vec<Counts>, Gone> {
        let mut counts = Vec::new();
        for shard in &self.shards {
            let (answer, counted) = oneshot::channel();
            shard.commands.send(Command::Counts { answer }).await.map_err(|_| Gone)?;
            counts.push(counted.await.map_err(|_| Gone)?);
        }
        Ok(counts)
    }

    async fn send(&self, room: RoomId, command: Command) -> Result<(), Gone> {
        // Ids are random.
        let at = usize::from(room.as_bytes()[15]) % self.shards.len();
        self.shards[at].commands.send(command).await.map_err(|_| Gone)
    }
}

fn start_shard(settings: &Settings, at: u16, events: mpsc::Sender<Event>) -> io::Result<Shard> {
    let mut listen = settings.listen;
    if listen.port() != 0 {
        let port =
            listen.port().checked_add(at).ok_or_else(|| invalid("the ports above the first end at 65535"))?;
        listen.set_port(port);
    }
    let (socket, listener) = bind(listen, settings.tcp)?;
    let address = socket.local_addr()?;
    let announce = if settings.announce.is_empty() { vec![address.ip()] } else { settings.announce.clone() };
    if announce.iter().any(|ip| ip.is_unspecified() || ip.is_multicast()) {
        return Err(invalid("browsers have to be told an address at which they reach this machine"));
    }
    let addresses =
        announce.into_iter().map(|ip| SocketAddr::new(ip.to_canonical(), address.port())).collect();
    let Settings { tcp, estimate, .. } = *settings;
    let config = Config { addresses, tcp, limits: settings.limits.clone(), estimate };

    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    // The kernel gives what it is allowed to.
    let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), BUFFER);
    let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), BUFFER);
    let (commands, received) = mpsc::channel(COMMANDS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let _context = runtime.enter();
    let socket = UdpSocket::from_std(socket)?;
    let listener = listener.map(TcpListener::from_std).transpose()?;
    drop(_context);
    let (streams, came) = Streams::new(&settings.limits);
    let wire = Wire { socket, state, streams, v6: address.is_ipv6() };
    std::thread::Builder::new().name(format!("forwarder-{at}")).spawn(move || {
        let forwarder = Forwarder::new(config, Instant::now());
        runtime.block_on(run(forwarder, wire, Tcp { listener, came }, received, events));
    })?;
    Ok(Shard { commands, address })
}

/// One port for both.
fn bind(listen: SocketAddr, tcp: bool) -> io::Result<(std::net::UdpSocket, Option<std::net::TcpListener>)> {
    // Some free port may not be free for the other.
    let tries = if listen.port() == 0 { 10 } else { 1 };
    let mut failed = None;
    for _ in 0..tries {
        let socket = std::net::UdpSocket::bind(listen)?;
        if !tcp {
            return Ok((socket, None));
        }
        match std::net::TcpListener::bind(socket.local_addr()?) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                return Ok((socket, Some(listener)));
            }
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.expect("there was a try"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.to_owned())
}

/// Where connections come from, and what comes over them.
struct Tcp {
    listener: Option<TcpListener>,
    came: mpsc::Receiver<Incoming>,
}

/// Never, where there is no listener.
async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn run(
    mut forwarder: Forwarder,
    mut wire: Wire,
    mut tcp: Tcp,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
) {
    let mut buffer = vec![0; SLOT * BATCH_SIZE];
    let mut outbox = Outbox::new(wire.state.max_gso_segments());
    let mut told = forwarder.poll_event();
    loop {
        let now = Instant::now();
        forwarder.handle_timeout(now, &mut outbox);
        wire.send(&mut outbox).await;
        told = told.or_else(|| forwarder.poll_event());
        let next = forwarder.next_timeout().unwrap_or(now + IDLE);
        tokio::select! {
            command = commands.recv() => {
                let Some(command) = command else { return };
                obey(&mut forwarder, command, &mut outbox);
            }
            place = events.reserve(), if told.is_some() => {
                // Nobody wants to hear it any more? Then the commands end too.
                if let (Ok(place), Some(event)) = (place, told.take()) {
                    place.send(event);
                }
            }
            readable = wire.socket.readable() => {
                if let Err(error) = readable {
                    tracing::error!(%error, "the forwarder's socket is of no more use");
                    return;
                }
                wire.receive(&mut buffer, &mut forwarder, &mut outbox);
            }
            accepted = accept(tcp.listener.as_ref()) => match accepted {
                Ok((stream, from)) => wire.streams.take(stream, canonical(from)),
                // Out of descriptors, most likely: others may end meanwhile.
                Err(_) => tokio::time::sleep(FULL).await,
            },
            Some(first) = tcp.came.recv() => {
                let rest = std::iter::from_fn(|| tcp.came.try_recv().ok()).take(BATCH_SIZE);
                for came in std::iter::once(first).chain(rest) {
                    match came {
                        Incoming::Datagram(from, datagram) => {
                            forwarder.receive(Via::Tcp, from, &datagram, Instant::now(), &mut outbox);
                        }
                        Incoming::Ended(from) => wire.streams.ended(from),
                    }
                }
                forwarder.settle(Instant::now(), &mut outbox);
            }
            () = tokio::time::sleep_until(next.into()) => {}
        }
    }
}

fn obey(forwarder: &mut Forwarder, command: Command, outbox: &mut Outbox) {
    let now = Instant::now();
    match command {
        Command::Members { room, epoch, leaves } => {
            if !forwarder.members(room, epoch, &leaves, now, outbox) {
                tracing::warn!(%room, "the forwarder has as many rooms as it may");
            }
        }
        Command::Signal { room, seat, message } => forwarder.signal(room, seat, message, now, outbox),
        Command::Close { room } => forwarder.close(room, now, outbox),
        Command::Counts { answer } => {
            // Whoever asked may have gone.
            let _ = answer.send(forwarder.counts());
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

struct Wire {
    socket: UdpSocket,
    streams: Streams,
    state: UdpSocketState,
    v6: bool,
}

impl Wire {
    /// Takes what the kernel has, and sends nothing yet: what came together leaves together.
    fn receive(&self, buffer: &mut [u8], forwarder: &mut Forwarder, outbox: &mut Outbox) {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut slots = buffer.chunks_exact_mut(SLOT);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().expect("a slot for each")));
        let received = self.socket.try_io(Interest::READABLE, || {
            self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas)
        });
        // An error is one that an earlier datagram caused, or there was nothing after all.
        let Ok(received) = received else { return };
        let now = Instant::now();
        for (slice, meta) in slices.iter().zip(&metas).take(received) {
            let from = canonical(meta.addr);
            for datagram in slice[..meta.len].chunks(meta.stride.max(1)) {
                forwarder.receive(Via::Udp, from, datagram, now, outbox);
            }
        }
        forwarder.settle(now, outbox);
    }

    async fn send(&self, outbox: &mut Outbox) {
        for batch in outbox.batches() {
            match batch.via {
                Via::Udp => self.send_udp(&batch).await,
                Via::Tcp => self.streams.send(batch.to, batch.bytes, batch.segment),
            }
        }
        outbox.clear();
        // Less than before, once the kernel or its driver turns out not to know how.
        outbox.set_max_segments(self.state.max_gso_segments());
    }

    async fn send_udp(&self, batch: &Batch<'_>) {
        let transmit = Transmit {
            destination: self.reachable(batch.to),
            ecn: None,
            contents: batch.bytes,
            segment_size: (batch.bytes.len() > batch.segment).then_some(batch.segment),
            src_ip: None,
        };
        let sent = self.try_send(&transmit);
        if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            let _ = tokio::time::timeout(FULL, self.socket.writable()).await;
            // A datagram that is lost here is lost as any other on the way.
            let _ = self.try_send(&transmit);
        }
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket
            .try_io(Interest::WRITABLE, || self.state.try_send(UdpSockRef::from(&self.socket), transmit))
    }

    /// A socket of IPv6 reaches IPv4 by mapped addresses.
    fn reachable(&self, to: SocketAddr) -> SocketAddr {
        match to.ip() {
            IpAddr::V4(v4) if self.v6 => SocketAddr::new(v4.to_ipv6_mapped().into(), to.port()),
            _ => to,
        }
    }
}
