//! A visit as a person sees it: what to send, what to keep, who comes and goes.

use std::{
    collections::BTreeMap,
    io::BufRead,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use gloaming_api::room::RoomView;
use gloaming_client::Control;
use gloaming_ids::SeatId;
use gloaming_room::{About, LeftHow};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    RoomLink,
    publish::Program,
    record::Recorder,
    signal::SLOTS,
    topology::Way,
    visit::{Ended, Happened, LINK_REFUSED, Onlooker, Place, Visit},
};
use crate::{
    failure::{Exit, Failure},
    online::{
        block_on_stoppable,
        period::When,
        remote::{Remote, first_line},
        size,
    },
    terminal::Terminal,
};

/// How often rates are told, in pulses of a second.
const RATES_EVERY: u32 = 5;

/// Come into a room without a browser; no account is needed
///
/// Stays until interrupted (Ctrl-C leaves properly), until --for is over, or until the host ends the meeting. In a small room
/// it goes straight to the others' devices, which learn this machine's network addresses, as from a browser; in a larger one,
/// and in one that hides addresses, through the server's forwarder, by UDP.
///
/// Files that are sent have to be encoded as rooms send: VP9 or VP8, and Opus, in MP4. They begin when somebody is there to
/// see them. Who comes in the middle sees the picture from the next key frame on; one every two seconds is a good measure.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming room join 'https://films.example/r/…#…' --receive recorded
  gloaming room join --link-file link.txt --publish concert.mp4 --loop --name Stage
  pass show room | gloaming room join - --receive recorded --for 90m --json

A file that can be sent:
  ffmpeg -i film.mov -c:v libvpx-vp9 -deadline realtime -row-mt 1 -b:v 2M -g 60 -pix_fmt yuv420p -c:a libopus room.mp4")]
pub(super) struct Join {
    /// The whole link, with what stands behind its #; or - to read it from standard input, so that no list of processes
    /// shows it
    #[arg(required_unless_present = "link_file")]
    link: Option<String>,

    /// A file whose first line is the link
    #[arg(long, value_name = "FILE", conflicts_with = "link")]
    link_file: Option<PathBuf>,

    /// What others see as your name
    #[arg(long, default_value = "Command line")]
    name: String,

    /// Send this file: the first as a camera and a microphone, a second one as a shared screen and its sound
    #[arg(long, value_name = "FILE")]
    publish: Vec<PathBuf>,

    /// Begin the files again when they are over
    #[arg(long = "loop", requires = "publish")]
    again: bool,

    /// Write what others send into this folder: IVF for pictures, Ogg for sound
    #[arg(long, value_name = "DIR")]
    receive: Option<PathBuf>,

    /// How long to stay: 90s, 30m, 12h
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    stay: Option<Duration>,
}

/// `90s`, `30m`, `12h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(When::In(millis)) => Ok(Duration::from_millis(millis)),
        _ => Err(format!("{text:?} is no duration; write 90s, 30m or 12h")),
    }
}

impl Join {
    pub(super) fn run(self, remote: &Remote, terminal: &Terminal) -> Result<(), Failure> {
        if self.publish.len() > 2 {
            let message = "two files at most can be sent: one as a camera, one as a shared screen";
            return Err(Failure::new(Exit::Usage, "too_many_files", message));
        }
        let text = self.link()?;
        let link = RoomLink::parse(&text)?;
        let program =
            (!self.publish.is_empty()).then(|| Program::open(&self.publish, self.again)).transpose()?;
        let recorder = self.receive.as_deref().map(Recorder::new).transpose()?;
        let (http, server) = remote.visitor(&text)?;
        let mut place = Place { http, server, room: link.room, hidden: false };
        let control = Control::default();
        block_on_stoppable(&control, async {
            let about = look(&mut place, &link).await?;
            if about.only_host_shares && program.as_ref().is_some_and(|program| program.sending().screen) {
                let message = "only the host shares a screen in this room; send one file";
                return Err(Failure::new(Exit::NotAllowed, "only_host_shares", message));
            }
            let mut report = Report::new(terminal, recorder);
            let visit = Visit::begin(place, link, self.name.clone(), program, &mut report).await?;
            let stay = async {
                match self.stay {
                    Some(stay) => tokio::time::sleep(stay).await,
                    None => std::future::pending().await,
                }
            };
            let stop = async {
                tokio::select! {
                    () = stay => {}
                    () = control.cancelled() => {}
                }
            };
            // Whatever ended it: what was received is to be played.
            let ended = Box::pin(visit.run(stop)).await;
            let finished = report.finish(&ended);
            ended?;
            finished
        })
    }

    fn link(&self) -> Result<Zeroizing<String>, Failure> {
        match (&self.link_file, self.link.as_deref()) {
            (Some(path), _) => first_line(path),
            (None, Some("-")) => {
                let mut line = Zeroizing::new(String::new());
                std::io::stdin().lock().read_line(&mut line).map_err(|error| {
                    Failure::new(Exit::Files, "no_link", format!("standard input cannot be read ({error})"))
                })?;
                Ok(line)
            }
            (None, link) => Ok(Zeroizing::new(link.unwrap_or_default().to_owned())),
        }
    }
}

/// What the server tells of a room to whoever asks, and what the link makes of it.
pub(super) async fn look(place: &mut Place, link: &RoomLink) -> Result<About, Failure> {
    let nonsense = || Failure::new(Exit::Server, "server_nonsense", "the server's answer makes no sense");
    let url = place.server.join(&format!("/v1/rooms/{}", place.room)).map_err(|_| nonsense())?;
    let offline = |error: reqwest::Error| {
        let why = error.without_url();
        Failure::new(Exit::Offline, "offline", format!("the server cannot be reached ({why})"))
    };
    let answer = place.http.get(url).send().await.map_err(offline)?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => {
            let message = "there is no such room, or it is over";
            return Err(Failure::new(Exit::NotFound, "room_over", message));
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let message = "the server has too much to do; try again later";
            return Err(Failure::new(Exit::Offline, "slow_down", message));
        }
        _ => return Err(nonsense()),
    }
    let bytes = answer.bytes().await.map_err(offline)?;
    let view: RoomView = serde_json::from_slice(&bytes).map_err(|_| nonsense())?;
    if view.number > link.invite.number {
        let message = "the host removed somebody since this link was made; ask for the link as it is now";
        return Err(Failure::new(Exit::NotAllowed, "room_link_old", message));
    }
    let Some(about) = link.invite.open_about(link.room, &view.sealed.0) else {
        return Err(Failure::new(Exit::NotAllowed, "room_link_refused", LINK_REFUSED));
    };
    // The server may say that addresses are hidden, and is not believed if it says that they are not.
    place.hidden = view.policy.hide_addresses || about.hide_addresses;
    Ok(about)
}

/// Tells what happens, and keeps what is received.
struct Report<'a> {
    terminal: &'a Terminal,
    recorder: Option<Recorder>,
    names: BTreeMap<SeatId, String>,
    since: Instant,
    pulses: u32,
    /// Since the last rates, and in all.
    counts: [Counts; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    frames_in: u64,
    bytes_in: u64,
    frames_out: u64,
    bytes_out: u64,
    dropped: u64,
}

impl Counts {
    fn json(self) -> Value {
        json!({
            "frames_received": self.frames_in,
            "bytes_received": self.bytes_in,
            "frames_sent": self.frames_out,
            "bytes_sent": self.bytes_out,
            "frames_dropped": self.dropped,
        })
    }
}

impl<'a> Report<'a> {
    fn new(terminal: &'a Terminal, recorder: Option<Recorder>) -> Self {
        let counts = [Counts::default(); 2];
        Self { terminal, recorder, names: BTreeMap::new(), since: Instant::now(), pulses: 0, counts }
    }

    fn called(&self, seat: SeatId) -> String {
        self.names.get(&seat).cloned().unwrap_or_else(|| "somebody".into())
    }

    /// One line; `data` gets the event's name.
    fn tell(&self, event: &str, mut data: Value, text: &str) {
        data["event"] = event.into();
        self.terminal.line(&data, |_| format!("{text}\n"));
    }

    fn rates(&mut self) {
        let counts = std::mem::take(&mut self.counts[0]);
        let seconds = std::mem::replace(&mut self.since, Instant::now()).elapsed().as_secs_f64();
        if counts.frames_in + counts.frames_out + counts.dropped == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let a_second = |n: u64| n as f64 / seconds;
        let mut data = counts.json();
        data["seconds"] = json!(seconds);
        let text = format!(
            "in {:.0} frames/s, {:.0} kbit/s; out {:.0} frames/s, {:.0} kbit/s; {} dropped",
            a_second(counts.frames_in),
            a_second(counts.bytes_in) / 125.0,
            a_second(counts.frames_out),
            a_second(counts.bytes_out) / 125.0,
            counts.dropped,
        );
        self.tell("rates", data, &text);
    }

    fn finish(mut self, ended: &Result<Ended, Failure>) -> Result<(), Failure> {
        let (finished, files) = match &mut self.recorder {
            Some(recorder) => (recorder.finish(), recorder.files.clone()),
            None => (Ok(()), Vec::new()),
        };
        let all = self.counts[1];
        let why = match ended {
            Ok(Ended::Left) => "left",
            Ok(Ended::ByHost) => "ended",
            Err(_) => "failed",
        };
        let mut data = all.json();
        data["why"] = json!(why);
        data["files"] = json!(files);
        let ended = if why == "ended" { "The host ended the meeting" } else { "Out of the room" };
        let received = size(all.bytes_in);
        self.tell("over", data, &format!("{ended}; received {received} in {} files.", files.len()));
        finished
    }
}

impl Onlooker for Report<'_> {
    fn happened(&mut self, what: Happened<'_>) -> Result<(), Failure> {
        match what {
            Happened::Knocking => self.tell("knocking", json!({}), "At the door."),
            Happened::HostAwaited => {
                self.tell(
                    "host_awaited",
                    json!({}),
                    "The host is not here yet; waiting for them at the door.",
                );
            }
            Happened::Seated { code, first } => {
                let code = code.to_string();
                let alone = if first { " You are the first here." } else { "" };
                self.tell(
                    "seated",
                    json!({ "code": code, "first": first }),
                    &format!("In the room.{alone} This visit's device code: {code}"),
                );
            }
            Happened::Came(seat) => self.tell("came", json!({ "seat": seat }), "Somebody comes in."),
            Happened::Named(seat, name) => {
                self.names.insert(seat, name.to_owned());
                self.tell(
                    "named",
                    json!({ "seat": seat, "name": name }),
                    &format!("{} is here.", plain(name)),
                );
            }
            Happened::Left(seat, how) => {
                let how = match how {
                    LeftHow::Left => "left",
                    LeftHow::Lost => "lost",
                    LeftHow::Expelled => "removed",
                    LeftHow::Unexplained => "unexplained",
                };
                let name = self.called(seat);
                self.names.remove(&seat);
                self.tell(
                    "left",
                    json!({ "seat": seat, "name": name, "how": how }),
                    &format!("{} is gone ({how}).", plain(&name)),
                );
                if let Some(recorder) = &mut self.recorder {
                    recorder.left(seat)?;
                }
            }
            Happened::Linked(seat, is) => {
                let text = if is { "Connected to" } else { "No connection to" };
                let name = self.called(seat);
                self.tell(
                    "connection",
                    json!({ "seat": seat, "connected": is }),
                    &format!("{text} {}.", plain(&name)),
                );
            }
            Happened::Goes(way) => {
                let text = match way {
                    Way::Mesh => "Sound and pictures go straight to each of the others.",
                    Way::Forwarder => {
                        "Sound and pictures go through the server's forwarder, sealed as before."
                    }
                };
                self.tell("way", json!({ "way": way }), text);
            }
            Happened::Sends(seat, sending) => {
                let name = self.called(seat);
                let names: Vec<_> = sending.slots().map(|slot| SLOTS[slot].name).collect();
                let text = if names.is_empty() { "nothing".into() } else { names.join(", ") };
                self.tell(
                    "sends",
                    json!({ "seat": seat, "sends": names }),
                    &format!("{} sends {text}.", plain(&name)),
                );
            }
            Happened::Chat(seat, text) => {
                let name = self.called(seat);
                self.tell(
                    "chat",
                    json!({ "seat": seat, "name": name, "text": text }),
                    &format!("{}: {}", plain(&name), plain(text)),
                );
            }
            Happened::Frame(frame) => {
                for counts in &mut self.counts {
                    counts.frames_in += 1;
                    counts.bytes_in += frame.bytes.len() as u64;
                }
                let name = self.called(frame.seat);
                if let Some(recorder) = &mut self.recorder
                    && let Some(path) = recorder.write(&name, &frame, Instant::now())?
                {
                    let track = SLOTS[frame.slot].name;
                    let data = json!({ "seat": frame.seat, "name": name, "track": track, "file": path });
                    self.tell(
                        "file",
                        data,
                        &format!("{}'s {track} goes to {}.", plain(&name), path.display()),
                    );
                }
            }
            Happened::Dropped => self.counts.iter_mut().for_each(|counts| counts.dropped += 1),
            Happened::Sent { bytes } => {
                for counts in &mut self.counts {
                    counts.frames_out += 1;
                    counts.bytes_out += bytes as u64;
                }
            }
            Happened::Online(true) => self.tell("online", json!({}), "The server is back."),
            Happened::Online(false) => self.tell("offline", json!({}), "The server is gone; trying again."),
            Happened::Doubt(doubt) => {
                self.tell("doubt", json!({ "message": doubt.to_string() }), &format!("Refused: {doubt}."));
            }
            Happened::LinkChanged => {
                self.tell(
                    "link_changed",
                    json!({}),
                    "The host removed somebody; the room has another link now.",
                );
            }
            Happened::Finished => self.tell("finished", json!({}), "Everything was sent."),
            Happened::Pulse => {
                self.pulses += 1;
                if self.pulses.is_multiple_of(RATES_EVERY) {
                    self.rates();
                }
            }
        }
        Ok(())
    }
}

/// What somebody else wrote, without what would move the cursor of a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_no_date() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert!(duration("2026-12-24").is_err());
        assert!(duration("soon").is_err());
    }

    #[test]
    fn what_others_write_does_not_drive_the_terminal() {
        assert_eq!(plain("\u{1b}[2Jhello\n"), "\u{fffd}[2Jhello\u{fffd}");
    }
}
