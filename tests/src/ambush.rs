//! The way between client and server. Everything is passed on unchanged, until a named moment at which one of the two
//! is killed.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, Response, StatusCode},
};
use tokio::net::TcpListener;

/// A step of an upload's, or of a video's, life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The video's row is made.
    Draft,
    /// An object is stored, but not the last.
    Put,
    /// The last object is stored: the index or what goes with it.
    Index,
    /// The draft becomes a video.
    Commit,
    /// The library learns of it.
    Record,
    /// The video is deleted for good.
    Delete,
}

impl Phase {
    /// All of them.
    pub const ALL: [Phase; 6] =
        [Phase::Draft, Phase::Put, Phase::Index, Phase::Commit, Phase::Record, Phase::Delete];

    /// What a request is a step of. Objects are all `Put` here; which one is the last only a count can tell.
    fn of(method: &Method, path: &str) -> Option<Self> {
        let video = path.strip_prefix("/v1/videos/");
        match (method.as_str(), path) {
            ("PUT", _) if path.starts_with("/blobs/") => Some(Phase::Put),
            ("POST", "/v1/library") => Some(Phase::Record),
            ("PUT", _) if video.is_some_and(|rest| !rest.contains('/')) => Some(Phase::Draft),
            ("DELETE", _) if video.is_some_and(|rest| !rest.contains('/')) => Some(Phase::Delete),
            ("POST", _) if video.is_some_and(|rest| rest.ends_with("/commit")) => Some(Phase::Commit),
            _ => None,
        }
    }
}

/// When, around one request, the blow falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The server has not seen the request.
    Before,
    /// The server has half of the request's body.
    Half,
    /// The server has it, and is at work on it for so many milliseconds.
    During(u64),
    /// The server has answered, and the client does not know it.
    After,
}

/// One trap.
pub struct Ambush {
    /// At this step,
    pub phase: Phase,
    /// at the so-manieth request of it (from 0),
    pub nth: usize,
    /// then
    pub moment: Moment,
    /// this is done.
    pub strike: Box<dyn FnOnce() + Send>,
    /// And this is told.
    pub struck: mpsc::Sender<()>,
}

#[derive(Default)]
struct Watched {
    trap: Option<Ambush>,
    /// Requests of each phase since the trap was set.
    seen: Vec<Phase>,
}

struct Way {
    to: SocketAddr,
    http: reqwest::Client,
    watched: Mutex<Watched>,
}

/// A listening way to the server.
pub struct Road {
    /// Where clients go.
    pub address: SocketAddr,
    way: Arc<Way>,
}

impl Road {
    /// Opens a way to `to`.
    pub fn open(to: SocketAddr) -> Self {
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let way = Arc::new(Way { to, http, watched: Mutex::new(Watched::default()) });
        let (told, tell) = mpsc::channel();
        let shared = way.clone();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, Router::new().fallback(pass).with_state(shared)).await.unwrap();
            });
        });
        Self { address: tell.recv().unwrap(), way }
    }

    /// Sets a trap, in place of one that was not sprung; counts from here.
    pub fn set(&self, trap: Option<Ambush>) {
        *self.way.watched.lock().unwrap() = Watched { trap, seen: Vec::new() };
    }

    /// How many requests of this step there were since the last trap was set.
    pub fn seen(&self, phase: Phase) -> usize {
        self.way.watched.lock().unwrap().seen.iter().filter(|seen| **seen == phase).count()
    }
}

impl Way {
    /// The trap, if this request springs it.
    fn spring(&self, method: &Method, path: &str) -> Option<Ambush> {
        let phase = Phase::of(method, path)?;
        let mut watched = self.watched.lock().unwrap();
        let nth = watched.seen.iter().filter(|seen| **seen == phase).count();
        watched.seen.push(phase);
        // The last object is told from the others by its number alone.
        watched.trap.take_if(|trap| {
            let wanted = if trap.phase == Phase::Index { Phase::Put } else { trap.phase };
            wanted == phase && trap.nth == nth
        })
    }
}

async fn pass(State(way): State<Arc<Way>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let trap = way.spring(&head.method, head.uri.path());
    let Ok(body) = to_bytes(body, usize::MAX).await else { return broken() };
    let mut ask = way.http.request(head.method, format!("http://{}{path}", way.to));
    for (name, value) in &head.headers {
        ask = ask.header(name, value);
    }
    let answer = match trap {
        None => ask.body(body).send().await,
        Some(trap) => {
            let Ambush { moment, strike, struck, .. } = trap;
            let hit = move || {
                strike();
                // Whoever set the trap may have stopped waiting.
                let _ = struck.send(());
            };
            match moment {
                // Half of nothing is nothing.
                Moment::Half if body.is_empty() => {
                    hit();
                    ask.body(body).send().await
                }
                Moment::Before => {
                    hit();
                    ask.body(body).send().await
                }
                Moment::Half => {
                    let half = body.slice(..body.len() / 2);
                    let sent = futures::stream::iter([Ok::<Bytes, std::io::Error>(half)]);
                    let rest = futures::stream::once(async move {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        hit();
                        Err(std::io::Error::other("killed half way"))
                    });
                    ask.body(reqwest::Body::wrap_stream(futures::StreamExt::chain(sent, rest))).send().await
                }
                Moment::During(millis) => {
                    let sending = tokio::spawn(ask.body(body).send());
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    hit();
                    sending.await.unwrap()
                }
                Moment::After => {
                    let answer = ask.body(body).send().await;
                    hit();
                    drop(answer);
                    return broken();
                }
            }
        }
    };
    let Ok(answer) = answer else { return broken() };
    let mut out = Response::builder().status(answer.status().as_u16());
    for (name, value) in answer.headers() {
        if !matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection") {
            out = out.header(name, value);
        }
    }
    match answer.bytes().await {
        Ok(bytes) => out.body(Body::from(bytes)).unwrap(),
        Err(_) => broken(),
    }
}

/// What a reverse proxy says of a server that is not there.
fn broken() -> Response<Body> {
    Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::empty()).unwrap()
}
