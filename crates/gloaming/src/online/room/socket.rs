//! A room's WebSocket, through the same HTTP client as everything else: so the same certificates are believed.

use std::net::SocketAddr;

use gloaming_ids::RoomId;
use reqwest::{StatusCode, Upgraded, header};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};
use url::Url;

pub(super) type Socket = WebSocketStream<Upgraded>;

/// A frame of a room's socket has at most 256 KiB.
const MAX_FRAME: usize = 512 << 10;

/// Why there is no socket.
#[derive(Debug)]
pub(super) enum NoSocket {
    /// The room is over, or never was.
    Gone,
    /// Later.
    Busy,
    /// No answer, in words.
    Offline(String),
    /// An answer that is none.
    Nonsense,
}

/// Opens a room's socket; and where the server is.
pub(super) async fn connect(
    http: &reqwest::Client,
    server: &Url,
    room: RoomId,
) -> Result<(Socket, Option<SocketAddr>), NoSocket> {
    let url = server.join(&format!("/v1/rooms/{room}/ws")).map_err(|_| NoSocket::Nonsense)?;
    let key = generate_key();
    let ask = http
        .get(url)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    let offline = |error: reqwest::Error| NoSocket::Offline(error.without_url().to_string());
    let answer = ask.send().await.map_err(offline)?;
    match answer.status() {
        StatusCode::SWITCHING_PROTOCOLS => {}
        StatusCode::NOT_FOUND => return Err(NoSocket::Gone),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => return Err(NoSocket::Busy),
        _ => return Err(NoSocket::Nonsense),
    }
    let accepted = answer.headers().get(header::SEC_WEBSOCKET_ACCEPT);
    if accepted.is_none_or(|accepted| accepted.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(NoSocket::Nonsense);
    }
    let at = answer.remote_addr();
    let upgraded = answer.upgrade().await.map_err(offline)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    Ok((WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await, at))
}
