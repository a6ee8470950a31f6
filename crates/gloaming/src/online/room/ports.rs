//! The UDP sockets that all connections share, one for each address of this machine that leads somewhere.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as Std},
    rc::Rc,
};

use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::{JoinHandle, spawn_local},
};

/// Packets that wait to be looked at. Where more come, the system's own buffers fill, and then packets are lost, as on any
/// network.
const WAITING: usize = 256;
/// Addresses of nobody (RFC 5737, RFC 3849): the route to them is the one to everybody. Nothing is sent there.
const ANYWHERE: [&str; 2] = ["198.51.100.1:9", "[2001:db8::1]:9"];

/// A packet, and which two addresses it went between.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) here: SocketAddr,
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Ports {
    sockets: Vec<(SocketAddr, Rc<UdpSocket>)>,
    packets: mpsc::Receiver<Packet>,
    readers: Vec<JoinHandle<()>>,
}

impl Ports {
    /// Opens a socket on the address from which `server` is reached, and on that from which everybody else is.
    pub(super) async fn open(server: Option<SocketAddr>) -> io::Result<Self> {
        let mut wanted: BTreeSet<IpAddr> = server.and_then(route).into_iter().collect();
        wanted.extend(ANYWHERE.iter().filter_map(|anywhere| route(anywhere.parse().ok()?)));
        let (say, packets) = mpsc::channel(WAITING);
        let mut ports = Self { sockets: Vec::new(), packets, readers: Vec::new() };
        for address in wanted {
            let socket = Rc::new(UdpSocket::bind((address, 0)).await?);
            let here = socket.local_addr()?;
            ports.readers.push(spawn_local(read(here, Rc::clone(&socket), say.clone())));
            ports.sockets.push((here, socket));
        }
        if ports.sockets.is_empty() {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        Ok(ports)
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address)
    }

    /// The next packet.
    pub(super) async fn next(&mut self) -> Packet {
        match self.packets.recv().await {
            Some(packet) => packet,
            None => std::future::pending().await,
        }
    }

    /// The next packet, if it is here.
    pub(super) fn waiting(&mut self) -> Option<Packet> {
        self.packets.try_recv().ok()
    }

    /// Sends a packet. One that does not leave is lost, as on any network.
    pub(super) async fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if let Some((_, socket)) = self.sockets.iter().find(|(address, _)| *address == from) {
            let _ = socket.send_to(bytes, to).await;
        }
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}

async fn read(here: SocketAddr, socket: Rc<UdpSocket>, say: mpsc::Sender<Packet>) {
    let mut buffer = vec![0; 2048];
    loop {
        // What a send of ours met on its way is told here, and says nothing of the next packet.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::task::yield_now().await;
            continue;
        };
        if say.send(Packet { here, from, bytes: buffer[..length].to_vec() }).await.is_err() {
            return;
        }
    }
}

/// This machine's address on the way there. The system is asked; nothing is sent.
pub(super) fn route(to: SocketAddr) -> Option<IpAddr> {
    let any =
        if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = Std::bind((any, 0)).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}
