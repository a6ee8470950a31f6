//! People in rooms: real members with real sockets, and people who speak to the socket without being a member.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use gloaming_api::room::{RoomDoor, RoomPolicy, RoomRequest};
use gloaming_ids::{RoomId, SeatId};
use gloaming_room::{
    About, App, Config, DeviceKey, Event, HostKey, Input, Invite, Member, Output,
    log::{ClientMessage, Pass, SeatToken, ServerMessage},
};
use reqwest::StatusCode;
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, Message},
};

use super::{Home, Person, entropy};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) const ROOM: RoomId = RoomId::from_bytes([42; 16]);
pub(crate) const SEED: [u8; 32] = [1; 32];
/// For anything that should happen at once, on a machine that does other things beside it.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The same link in every test: whoever has it may come.
pub(crate) fn invite() -> Invite {
    Invite::generate(HostKey::from_seed(&SEED).public(), false, &mut |out: &mut [u8]| out.fill(7))
}

pub(crate) fn copy(invite: &Invite) -> Invite {
    Invite::from_fragment(&invite.to_fragment()).unwrap()
}

pub(crate) fn door(room: RoomId, invite: &Invite) -> RoomDoor {
    let about = About { name: "Tuesdays".into(), ..About::default() };
    RoomDoor {
        number: invite.number,
        hash: invite.door(room).0.to_vec().into(),
        sealed: invite.seal_about(room, &about, &mut |out: &mut [u8]| out.fill(5)).into(),
    }
}

pub(crate) fn request(room: RoomId) -> RoomRequest {
    RoomRequest { room, door: door(room, &invite()), policy: RoomPolicy::default() }
}

pub(crate) async fn make(person: &Person<'_>) {
    assert_eq!(person.post("/v1/rooms", &request(ROOM)).await.status(), StatusCode::NO_CONTENT);
}

pub(crate) async fn connect(home: &Home, room: RoomId) -> Result<Socket, tungstenite::Error> {
    let url = format!("ws://{}/v1/rooms/{room}/ws", home.address);
    Ok(tokio_tungstenite::connect_async(url).await?.0)
}

/// Runs one member, as the page's worker does.
pub(crate) struct Guest {
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    events: mpsc::UnboundedReceiver<Event>,
    /// What came in text frames.
    pub(crate) texts: mpsc::UnboundedReceiver<String>,
    running: JoinHandle<Member>,
}

pub(crate) enum Order {
    Do(Input<'static>),
    /// A socket, to begin with or to go on with.
    Connect(Socket),
    /// Says something in a text frame.
    Text(String),
    /// Does something with the member.
    With(Box<dyn FnOnce(&mut Member) + Send>),
    /// The network is gone.
    Cut,
    Stop,
}

impl Guest {
    pub(crate) fn new(invite: &Invite, host: bool) -> Self {
        let (orders, todo) = mpsc::unbounded_channel();
        let (say, events) = mpsc::unbounded_channel();
        let (heard, texts) = mpsc::unbounded_channel();
        let config = Config {
            room: ROOM,
            invite: copy(invite),
            device: DeviceKey::generate(&mut entropy),
            host: host.then(|| HostKey::from_seed(&SEED)),
            name: "somebody".into(),
        };
        let member = Member::new(config, &mut entropy);
        Self { orders, events, texts, running: tokio::spawn(run(member, todo, say, heard)) }
    }

    pub(crate) async fn come(home: &Home, invite: &Invite, host: bool) -> Self {
        let guest = Self::new(invite, host);
        guest.go_on(home).await;
        guest
    }

    pub(crate) async fn go_on(&self, home: &Home) {
        let socket = connect(home, ROOM).await.unwrap();
        assert!(self.orders.send(Order::Connect(socket)).is_ok());
    }

    pub(crate) fn order(&self, input: Input<'static>) {
        assert!(self.orders.send(Order::Do(input)).is_ok());
    }

    pub(crate) fn say(&self, text: &str) {
        self.order(Input::Say { to: None, app: App::Chat { text: text.into() } });
    }

    /// Waits for something to happen; everything that happened until then.
    pub(crate) async fn until(&mut self, within: Duration, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut seen = Vec::new();
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let event = tokio::time::timeout_at(deadline, self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("it did not happen; what did: {seen:?}")).unwrap();
            let found = wanted(&event);
            seen.push(event);
            if found {
                return seen;
            }
        }
    }

    pub(crate) async fn hears(&mut self, words: &str) -> Vec<Event> {
        let said =
            |event: &Event| matches!(event, Event::Said { app: App::Chat { text }, .. } if text == words);
        self.until(SOON, said).await
    }

    /// The link as it is now.
    pub(crate) async fn link(&self) -> Invite {
        self.with(|member| copy(member.invite())).await
    }

    /// Asks or does something of the member.
    pub(crate) async fn with<R: Send + 'static>(
        &self,
        does: impl FnOnce(&mut Member) -> R + Send + 'static,
    ) -> R {
        let (tell, told) = oneshot::channel();
        let does = move |member: &mut Member| drop(tell.send(does(member)));
        assert!(self.orders.send(Order::With(Box::new(does))).is_ok());
        told.await.unwrap()
    }

    pub(crate) async fn stop(self) -> Member {
        let _ = self.orders.send(Order::Stop);
        self.running.await.unwrap()
    }
}

async fn run(
    mut member: Member,
    mut todo: mpsc::UnboundedReceiver<Order>,
    say: mpsc::UnboundedSender<Event>,
    texts: mpsc::UnboundedSender<String>,
) -> Member {
    let started = Instant::now();
    let mut socket: Option<Socket> = None;
    loop {
        while let Some(output) = member.poll() {
            match output {
                Output::Event(event) => drop(say.send(event)),
                Output::Send(frame) => {
                    if let Some(open) = &mut socket {
                        let _ = open.send(Message::Binary(frame.into())).await;
                    }
                }
            }
        }
        let now = started.elapsed();
        let wake = member.deadline().map_or(Duration::from_secs(3600), |at| at.saturating_sub(now));
        let heard = async {
            match &mut socket {
                Some(open) => open.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = todo.recv() => match order {
                Some(Order::Do(input)) => member.handle(input, started.elapsed(), &mut entropy),
                Some(Order::Connect(new)) => {
                    socket = Some(new);
                    member.handle(Input::Opened, started.elapsed(), &mut entropy);
                }
                Some(Order::Cut) => {
                    socket = None;
                    member.handle(Input::Closed, started.elapsed(), &mut entropy);
                }
                Some(Order::Text(text)) => {
                    if let Some(open) = &mut socket {
                        let _ = open.send(Message::Text(text.into())).await;
                    }
                }
                Some(Order::With(does)) => does(&mut member),
                Some(Order::Stop) | None => return member,
            },
            heard = heard => match heard {
                Some(Ok(Message::Binary(frame))) => {
                    member.handle(Input::Received(&frame), started.elapsed(), &mut entropy);
                }
                Some(Ok(Message::Text(text))) => drop(texts.send(text.to_string())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => {
                    socket = None;
                    member.handle(Input::Closed, started.elapsed(), &mut entropy);
                }
            },
            () = tokio::time::sleep(wake) => member.handle(Input::Tick, started.elapsed(), &mut entropy),
        }
    }
}

pub(crate) fn is_joining(event: &Event) -> bool {
    matches!(event, Event::Joined(_))
}

pub(crate) fn is_seated(event: &Event) -> bool {
    *event == Event::Seated
}

/// Somebody who speaks to the socket without being a member.
pub(crate) struct Stranger(pub(crate) Socket);

impl Stranger {
    pub(crate) async fn new(home: &Home) -> Self {
        Self(connect(home, ROOM).await.unwrap())
    }

    pub(crate) async fn send(&mut self, message: &ClientMessage) {
        self.0.send(Message::Binary(message.encode().into())).await.unwrap();
    }

    pub(crate) async fn hello(&mut self, seat: u8, token: u8) {
        self.hello_with(seat, token, invite().pass(ROOM)).await;
    }

    pub(crate) async fn hello_with(&mut self, seat: u8, token: u8, pass: Pass) {
        let seat = SeatId::from_bytes([seat; 16]);
        self.send(&ClientMessage::Hello { seat, token: SeatToken([token; 16]), pass, resume: None }).await;
    }

    /// The next of the log's messages.
    pub(crate) async fn next(&mut self) -> ServerMessage {
        loop {
            match self.frame().await {
                Message::Binary(frame) => return ServerMessage::decode(&frame).unwrap(),
                Message::Text(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next frame of whatever kind.
    pub(crate) async fn frame(&mut self) -> Message {
        tokio::time::timeout(SOON, self.0.next()).await.unwrap().unwrap().unwrap()
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::Text(text.into())).await.unwrap();
    }

    /// What the socket is closed with.
    pub(crate) async fn closed(mut self) -> u16 {
        loop {
            match tokio::time::timeout(SOON, self.0.next()).await.unwrap() {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Binary(_) | Message::Text(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
