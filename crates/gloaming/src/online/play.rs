//! A video on a loopback address: any player opens it there, with `Range`, while this runs.
//!
//! ```text
//! http://127.0.0.1:<port>/<secret>/video.mp4        the whole video as one fragmented MP4
//! http://127.0.0.1:<port>/<secret>/master.m3u8      HLS     …/manifest.mpd   DASH
//! ```
//!
//! The secret is 16 random bytes, so that other users of this machine, and pages in its browsers, find nothing. A request
//! must also name the loopback address as its host: a page whose name was made to point here does not get through.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    ops::Range,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use futures::{Stream, StreamExt, stream};
use gloaming_client::{ClientError, OpenVideo, open_video};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, HeaderValue, RANGE,
    },
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    block_on,
    machine::Machine,
    received::{self, Found, find},
    remote::Remote,
};
use crate::{
    Run,
    failure::{Exit, Failure},
    terminal::Terminal,
};

/// How often it is looked whether it may still be watched, and what is to be forgotten.
const GLANCE: Duration = Duration::from_secs(3);
/// What is read and sent at a time.
const STEP: u64 = 1 << 20;

/// Make a video playable by any player on this machine, until interrupted
#[derive(Debug, Args)]
pub(crate) struct Play {
    #[command(flatten)]
    remote: Remote,

    /// Id, the beginning of one, or exact title, of your own video or of one that you received
    video: String,
}

impl Run for Play {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let session = self.remote.open().await?;
            let library = session.library();
            let id = match find(&library, &self.video).await? {
                Found::Own(video) => video,
                Found::Received(share, video) => {
                    return received::play(&library.open_received(share, video).await?, terminal).await;
                }
            };
            let loopback = Loopback::open(open_video(&session, id).await?).await?;
            terminal.print(&loopback.addresses(), |_| format!("{}\n", loopback.mp4()));
            terminal.note("Open this in any player; Ctrl-C ends it.");
            loopback.serve().await
        })
    }
}

/// A video on a port of this machine.
pub(super) struct Loopback {
    listener: TcpListener,
    base: String,
    served: Rc<Served>,
}

fn no_port(error: std::io::Error) -> Failure {
    Failure::new(Exit::Files, "no_port", error.to_string())
}

impl Loopback {
    pub(super) async fn open(video: OpenVideo<Machine>) -> Result<Self, Failure> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).expect("the operating system has random bytes");
        let secret = hex::encode(secret);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(no_port)?;
        let port = listener.local_addr().map_err(no_port)?.port();
        let base = format!("http://127.0.0.1:{port}/{secret}/");
        let host = format!("127.0.0.1:{port}");
        Ok(Self { listener, base, served: Rc::new(Served { video, secret, host }) })
    }

    pub(super) fn mp4(&self) -> String {
        format!("{}video.mp4", self.base)
    }

    pub(super) fn addresses(&self) -> Value {
        let base = &self.base;
        json!({
            "video": self.served.video.video(), "mp4": self.mp4(), "hls": format!("{base}master.m3u8"),
            "dash": format!("{base}manifest.mpd"),
        })
    }

    /// Answers whoever asks, until this process ends.
    pub(super) async fn serve(&self) -> Result<(), Failure> {
        loop {
            let (socket, _) = self.listener.accept().await.map_err(no_port)?;
            let served = Rc::clone(&self.served);
            tokio::task::spawn_local(async move {
                let answer = service_fn(|request| {
                    let served = Rc::clone(&served);
                    async move { Ok::<_, Infallible>(served.answer(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                // A player that hangs up in the middle is no failure.
                let _ = connection.serve_connection(TokioIo::new(socket), answer).await;
            });
        }
    }
}

/// Serves a video until it may not be watched any more.
pub(super) async fn until_over(loopback: &Loopback, video: &OpenVideo<Machine>) -> Result<(), Failure> {
    let over = async {
        loop {
            tokio::time::sleep(GLANCE).await;
            video.tidy();
            if let Some(error) = video.over() {
                return Err::<(), Failure>(error.into());
            }
        }
    };
    tokio::select! {
        ended = loopback.serve() => ended,
        over = over => over,
    }
}

struct Served {
    video: OpenVideo<Machine>,
    secret: String,
    host: String,
}

impl Served {
    async fn answer(&self, request: Request<Incoming>) -> Response<LocalBody> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let uri = request.uri().path().strip_prefix('/').and_then(|path| path.split_once('/'));
        let Some((_, uri)) = uri.filter(|(secret, _)| *secret == self.secret && host == Some(&self.host))
        else {
            return status(StatusCode::NOT_FOUND);
        };
        let head = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            _ => return status(StatusCode::METHOD_NOT_ALLOWED),
        };
        if uri == "video.mp4" {
            let len = self.video.layout().len();
            let wanted = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
            return match wanted.map(|wanted| parse_range(wanted, len)) {
                // What is no range of bytes is ignored (RFC 9110, 14.2).
                None | Some(Wanted::Whole) => self.file(StatusCode::OK, 0..len, len, head),
                Some(Wanted::Part(range)) => self.file(StatusCode::PARTIAL_CONTENT, range, len, head),
                Some(Wanted::Nothing) => {
                    let mut refused = status(StatusCode::RANGE_NOT_SATISFIABLE);
                    refused.headers_mut().insert(CONTENT_RANGE, text(&format!("bytes */{len}")));
                    refused
                }
            };
        }
        match self.video.part(uri, "").await {
            Ok((bytes, media_type)) => {
                let mut answer =
                    Response::new(if head { LocalBody::empty() } else { LocalBody::Whole(Some(bytes.0)) });
                answer.headers_mut().insert(CONTENT_TYPE, text(media_type));
                answer.headers_mut().insert(CACHE_CONTROL, text("no-store"));
                answer
            }
            Err(ClientError::NotFound { .. }) => status(StatusCode::NOT_FOUND),
            Err(_) => status(StatusCode::BAD_GATEWAY),
        }
    }

    fn file(&self, status: StatusCode, range: Range<u64>, len: u64, head: bool) -> Response<LocalBody> {
        let body = if head { LocalBody::empty() } else { LocalBody::of(self.video.clone(), range.clone()) };
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, text("video/mp4"));
        headers.insert(ACCEPT_RANGES, text("bytes"));
        headers.insert(CACHE_CONTROL, text("no-store"));
        headers.insert(CONTENT_LENGTH, text(&(range.end - range.start).to_string()));
        if status == StatusCode::PARTIAL_CONTENT {
            headers.insert(CONTENT_RANGE, text(&format!("bytes {}-{}/{len}", range.start, range.end - 1)));
        }
        answer
    }
}

/// A body that stays on its thread.
enum LocalBody {
    Whole(Option<Bytes>),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, ClientError>>>>),
}

impl LocalBody {
    fn empty() -> Self {
        Self::Whole(None)
    }

    /// A range of a video, read as it is sent. A failure ends the connection, so that a player does not take what came for
    /// all there is.
    fn of(video: OpenVideo<Machine>, range: Range<u64>) -> Self {
        let step = move |from: u64| {
            let video = video.clone();
            async move {
                let to = (from + STEP).min(range.end);
                if from == to {
                    return None;
                }
                match video.read(from..to).await {
                    Ok(bytes) => Some((Ok(bytes.0), to)),
                    Err(error) => Some((Err(error), range.end)),
                }
            }
        };
        Self::Stream(Box::pin(stream::unfold(range.start, step)))
    }
}

impl hyper::body::Body for LocalBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        match self.get_mut() {
            LocalBody::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            LocalBody::Stream(stream) => {
                stream.poll_next_unpin(cx).map(|next| next.map(|n| n.map(Frame::data)))
            }
        }
    }
}

fn status(status: StatusCode) -> Response<LocalBody> {
    let mut answer = Response::new(LocalBody::empty());
    *answer.status_mut() = status;
    answer
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("our own header values are plain")
}

#[derive(Debug, PartialEq)]
enum Wanted {
    Whole,
    Part(Range<u64>),
    Nothing,
}

/// One range of bytes (RFC 9110, 14.1.2). Several at once are answered as none: with everything.
fn parse_range(range: &str, len: u64) -> Wanted {
    let Some((from, to)) = range.strip_prefix("bytes=").and_then(|spec| spec.split_once('-')) else {
        return Wanted::Whole;
    };
    let (start, end) = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => (from, to.saturating_add(1).min(len)),
        (Ok(from), Err(_)) if to.is_empty() => (from, len),
        (Err(_), Ok(last)) if from.is_empty() => (len.saturating_sub(last), len),
        _ => return Wanted::Whole,
    };
    if start < end { Wanted::Part(start..end) } else { Wanted::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_players_write_them() {
        assert_eq!(parse_range("bytes=0-", 10), Wanted::Part(0..10));
        assert_eq!(parse_range("bytes=2-5", 10), Wanted::Part(2..6));
        assert_eq!(parse_range("bytes=2-99", 10), Wanted::Part(2..10));
        assert_eq!(parse_range("bytes=-3", 10), Wanted::Part(7..10));
        assert_eq!(parse_range("bytes=10-", 10), Wanted::Nothing);
        assert_eq!(parse_range("bytes=-0", 10), Wanted::Nothing);
        assert_eq!(parse_range("bytes=5-2", 10), Wanted::Whole);
        assert_eq!(parse_range("bytes=0-1,3-4", 10), Wanted::Whole);
        assert_eq!(parse_range("lines=0-1", 10), Wanted::Whole);
    }
}
