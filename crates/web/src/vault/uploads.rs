//! The queue of uploads: one at a time goes on its way (its packs are several in flight), the others wait their turn.
//!
//! What is under way survives a reload as a note (name, size, time, title) beside the client's own journal; the browser
//! must be given the file again, and the journal's fingerprint says whether it is the same one.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloaming_client::{
    ClientError, Control, Phase as ClientPhase, Platform, Progress, PublishOptions, Session, Unfinished,
    abandon, fingerprint,
    folder::{self, Taken},
    inspect, open_video,
    platform::Shelf,
    publish, unfinished, verify,
};
use gloaming_ids::{UnixMillis, VideoId};
use js_sys::{Array, Reflect};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::Blob;

use super::WebVault;
use crate::{
    convert::{Answer, fault, refuse, sentence, to_js, vault_error},
    platform::Browser,
    report,
    source::FileSource,
    wire::{self, Check, CheckState, Event, Phase, UploadState},
};

/// Everything that was dropped on the page and not yet dismissed.
#[derive(Default)]
pub(super) struct Queue {
    jobs: RefCell<Vec<Rc<Job>>>,
    /// Somebody works through it.
    running: Cell<bool>,
}

struct Job {
    id: String,
    note: Note,
    source: RefCell<Option<Rc<FileSource>>>,
    control: RefCell<Control>,
    poster: RefCell<Option<Blob>>,
    state: RefCell<UploadState>,
}

/// What is kept of an upload for after a reload.
#[derive(Clone, Serialize, Deserialize)]
struct Note {
    name: String,
    title: String,
    size: u64,
    modified: Option<u64>,
    /// The folder it came out of: a playlist takes it in when it is done.
    #[serde(default)]
    folder: Option<String>,
    /// Though the library has it.
    #[serde(default)]
    again: bool,
}

impl Note {
    fn is_about(&self, upload: &Unfinished) -> bool {
        let modified = self.modified.map(UnixMillis);
        (&self.name, self.size, modified) == (&upload.file_name, upload.size, upload.modified)
    }
}

impl Job {
    fn new(id: String, note: Note, phase: Phase, source: Option<FileSource>) -> Rc<Self> {
        let state = UploadState {
            id: id.clone(),
            name: note.name.clone(),
            title: note.title.clone(),
            video: None,
            phase,
            bytes_done: 0,
            bytes_total: note.size,
            packs_done: 0,
            packs_total: 0,
            bytes_per_second: None,
            seconds_left: None,
            waiting: None,
            probe: None,
            error: None,
            check: Check { state: CheckState::Offered, done: 0, total: 0, message: None },
        };
        Rc::new(Self {
            id,
            note,
            source: RefCell::new(source.map(Rc::new)),
            control: RefCell::default(),
            poster: RefCell::default(),
            state: RefCell::new(state),
        })
    }

    fn phase(&self) -> Phase {
        self.state.borrow().phase
    }

    fn set(&self, change: impl FnOnce(&mut UploadState)) {
        change(&mut self.state.borrow_mut());
    }

    fn video(&self) -> Option<VideoId> {
        self.state.borrow().video.as_deref().and_then(|video| video.parse().ok())
    }
}

#[wasm_bindgen]
impl WebVault {
    /// Says what a file is; sends nothing.
    pub async fn probe(&self, file: JsValue) -> Answer {
        let source = FileSource::new(file);
        let session = self.session().map_err(|error| self.complain(error))?;
        let inspected = inspect(&session, &source).await.map_err(|error| self.complain(error))?;
        Ok(to_js(&report::probe(&inspected, &source.name())))
    }

    /// The films among the files of folders that somebody gave, by their paths.
    #[wasm_bindgen(js_name = takeFromFolders)]
    pub async fn take_from_folders(&self, paths: Vec<String>) -> Answer {
        let taken = folder::take(&paths);
        Ok(to_js(
            &taken.into_iter().map(|Taken { at, folder }| wire::Taken { at, folder }).collect::<Vec<_>>(),
        ))
    }

    /// Puts files at the end of the queue: `{ file, handle, title, folder, again }` each. Answers with their ids.
    pub async fn upload(&self, files: Array) -> Answer {
        self.library()?;
        let mut ids = Vec::new();
        for item in files.iter() {
            let field = |name: &str| Reflect::get(&item, &name.into()).unwrap_or(JsValue::UNDEFINED);
            let source = FileSource::new(field("file"));
            let name = source.name();
            let text = |name: &str| field(name).as_string().filter(|text| !text.trim().is_empty());
            let stamp = source.stamp();
            let note = Note {
                title: text("title").unwrap_or_else(|| title_of(&name).to_owned()),
                folder: text("folder"),
                again: field("again").is_truthy(),
                name,
                size: stamp.len,
                modified: stamp.modified.map(|at| at.0),
            };
            let job = Job::new(self.new_id(), note, Phase::Waiting, Some(source));
            self.keep(&job, &field("handle")).await?;
            ids.push(job.id.clone());
            self.0.queue.jobs.borrow_mut().push(job);
        }
        self.say_uploads();
        self.work();
        Ok(to_js(&ids))
    }

    /// All of them, in the order they came.
    pub async fn uploads(&self) -> Answer {
        Ok(to_js(&self.upload_states()))
    }

    /// Stops at once; what is stored stays stored.
    #[wasm_bindgen(js_name = pauseUpload)]
    pub async fn pause_upload(&self, upload: String) -> Answer<()> {
        let job = self.job(&upload)?;
        if matches!(job.phase(), Phase::Waiting | Phase::Probing | Phase::Sealing) {
            job.set(|state| state.phase = Phase::Paused);
            job.control.borrow().cancel();
            self.say_uploads();
        }
        Ok(())
    }

    /// Goes on.
    #[wasm_bindgen(js_name = resumeUpload)]
    pub async fn resume_upload(&self, upload: String) -> Answer<()> {
        self.again(&upload, Phase::Paused)
    }

    /// Goes on after a failure.
    #[wasm_bindgen(js_name = retryUpload)]
    pub async fn retry_upload(&self, upload: String) -> Answer<()> {
        self.again(&upload, Phase::Failed)
    }

    /// Stops for good, and takes back what was stored.
    #[wasm_bindgen(js_name = cancelUpload)]
    pub async fn cancel_upload(&self, upload: String) -> Answer<()> {
        let job = self.job(&upload)?;
        let finished = job.phase() == Phase::Done;
        self.remove(&job).await;
        if !finished {
            job.control.borrow().cancel();
            self.give_up(&job).await.map_err(|error| self.complain(error))?;
        }
        Ok(())
    }

    /// Takes a finished or failed one off the list.
    #[wasm_bindgen(js_name = dismissUpload)]
    pub async fn dismiss_upload(&self, upload: String) -> Answer<()> {
        let job = self.job(&upload)?;
        match job.phase() {
            Phase::Done => self.remove(&job).await,
            Phase::Failed | Phase::NeedsFile => {
                self.remove(&job).await;
                self.give_up(&job).await.map_err(|error| self.complain(error))?;
            }
            _ => return Err(fault("an upload that is under way cannot be dismissed")),
        }
        Ok(())
    }

    /// The handle kept from an earlier page.
    #[wasm_bindgen(js_name = keptHandle)]
    pub async fn kept_handle(&self, upload: String) -> Answer {
        let name = self
            .session()
            .map(|session| handle_name(&session, &upload))
            .map_err(|error| self.complain(error))?;
        let kept = self.platform().host().load("notes", &name).await;
        Ok(kept.ok().filter(|handle| !handle.is_undefined()).unwrap_or(JsValue::NULL))
    }

    /// Goes on with an upload of an earlier page, with the same file.
    #[wasm_bindgen(js_name = giveFile)]
    pub async fn give_file(&self, upload: String, file: JsValue) -> Answer<()> {
        let job = self.job(&upload)?;
        let source = FileSource::new(file);
        if !self.is_same(&job, &source).await.map_err(|error| self.complain(error))? {
            let message =
                format!("This is another file. Choose the {} that you began with, unchanged.", job.note.name);
            return Err(refuse("other_file", &message));
        }
        job.source.replace(Some(Rc::new(source)));
        job.set(|state| state.phase = Phase::Paused);
        self.again(&upload, Phase::Paused)
    }

    /// A picture for an upload, or that none can be made.
    #[wasm_bindgen(js_name = offerPoster)]
    pub async fn offer_poster(&self, upload: String, image: Option<Blob>) -> Answer<()> {
        let (Ok(job), Some(image)) = (self.job(&upload), image) else { return Ok(()) };
        job.poster.replace(Some(image));
        if job.phase() == Phase::Done {
            self.hang_poster(&job).await;
        }
        Ok(())
    }

    /// Reads back what is stored, and checks every digest.
    #[wasm_bindgen(js_name = checkStored)]
    pub async fn check_stored(&self, upload: String) -> Answer<()> {
        let job = self.job(&upload)?;
        let video = job.video().filter(|_| job.phase() == Phase::Done);
        let video = video.ok_or_else(|| fault("only a finished upload can be checked"))?;
        let vault = self.clone();
        spawn_local(async move { vault.check(&job, video).await });
        Ok(())
    }
}

impl WebVault {
    fn job(&self, upload: &str) -> Answer<Rc<Job>> {
        let jobs = self.0.queue.jobs.borrow();
        jobs.iter().find(|job| job.id == upload).cloned().ok_or_else(|| fault("there is no such upload"))
    }

    fn upload_states(&self) -> Vec<UploadState> {
        self.0.queue.jobs.borrow().iter().map(|job| job.state.borrow().clone()).collect()
    }

    fn say_uploads(&self) {
        self.say(&Event::Uploads { uploads: self.upload_states() });
    }

    /// Something is on its way: not a moment to lock by itself.
    pub(super) fn is_busy(&self) -> bool {
        self.0.queue.running.get()
    }

    fn new_id(&self) -> String {
        let mut entropy = |out: &mut [u8]| self.platform().fill_random(out);
        gloaming_ids::RecordId::generate(&mut entropy).to_string()
    }

    async fn keep(&self, job: &Job, handle: &JsValue) -> Answer<()> {
        let session = self.session().map_err(|error| self.complain(error))?;
        let host = self.platform().host();
        let name = note_name(&session, &job.id);
        host.claim(&name).await?;
        let note = serde_json::to_vec(&job.note).expect("a note serialises");
        if let Err(reason) = self.platform().save(Shelf::Notes, &name, &note).await {
            return Err(self.complain(ClientError::Device { reason }));
        }
        if !handle.is_null() && !handle.is_undefined() {
            // A browser that has handles and cannot keep them asks for the file instead.
            let _ = host.save("notes", &handle_name(&session, &job.id), handle).await;
        }
        Ok(())
    }

    async fn forget_notes(&self, job: &Job) {
        let Ok(session) = self.session() else { return };
        self.platform().forget(Shelf::Notes, &note_name(&session, &job.id)).await;
        self.platform().forget(Shelf::Notes, &handle_name(&session, &job.id)).await;
    }

    /// By size and time, and where some of it is stored already, by its first and last MiB.
    async fn is_same(&self, job: &Job, source: &FileSource) -> Result<bool, ClientError> {
        let stamp = source.stamp();
        if (stamp.len, stamp.modified.map(|at| at.0)) != (job.note.size, job.note.modified) {
            return Ok(false);
        }
        let begun = unfinished(&self.session()?).await.into_iter().find(|upload| job.note.is_about(upload));
        match begun {
            Some(upload) => Ok(fingerprint(self.platform(), source).await? == upload.fingerprint),
            None => Ok(true),
        }
    }

    /// Takes back what is stored of it.
    async fn give_up(&self, job: &Job) -> Result<(), ClientError> {
        let session = self.session()?;
        for upload in unfinished(&session).await.iter().filter(|upload| job.note.is_about(upload)) {
            abandon(&session, &upload.fingerprint).await?;
        }
        Ok(())
    }

    async fn remove(&self, job: &Rc<Job>) {
        self.0.queue.jobs.borrow_mut().retain(|other| !Rc::ptr_eq(other, job));
        self.forget_notes(job).await;
        self.say_uploads();
    }

    fn again(&self, upload: &str, from: Phase) -> Answer<()> {
        let job = self.job(upload)?;
        if job.phase() == from {
            let phase = if job.source.borrow().is_some() { Phase::Waiting } else { Phase::NeedsFile };
            job.control.replace(Control::default());
            job.set(|state| {
                state.phase = phase;
                state.error = None;
            });
            self.say_uploads();
            self.work();
        }
        Ok(())
    }

    /// Uploads of an earlier page that no other page has taken up.
    pub(super) async fn find_uploads(&self) {
        let Ok(session) = self.session() else { return };
        let begun = unfinished(&session).await;
        let prefix = note_name(&session, "");
        for name in self.platform().names(Shelf::Notes, &prefix).await {
            let upload = name.trim_start_matches(&prefix).to_owned();
            let ours = self.platform().host().claim(&name).await.is_ok_and(|ours| ours.is_truthy());
            if !ours || self.job(&upload).is_ok() {
                continue;
            }
            let note = self.platform().load(Shelf::Notes, &name).await;
            let Some(note) = note.and_then(|note| serde_json::from_slice::<Note>(&note).ok()) else {
                continue;
            };
            let stored = begun.iter().find(|upload| note.is_about(upload));
            let job = Job::new(upload, note, Phase::NeedsFile, None);
            if let Some(stored) = stored {
                job.set(|state| {
                    state.bytes_done = stored.stored_bytes.min(state.bytes_total);
                    state.packs_done = stored.stored_packs;
                });
            }
            self.0.queue.jobs.borrow_mut().push(job);
        }
        self.say_uploads();
    }

    /// Locked: nothing goes on, and nothing is shown.
    pub(super) fn stop_uploads(&self) {
        for job in self.0.queue.jobs.take() {
            job.control.borrow().cancel();
        }
    }

    /// Works through the queue, unless somebody does already.
    fn work(&self) {
        if self.0.queue.running.replace(true) {
            return;
        }
        let vault = self.clone();
        spawn_local(async move {
            while let Some(job) = vault.next_job() {
                vault.run(&job).await;
                vault.say_uploads();
            }
            vault.0.queue.running.set(false);
        });
    }

    fn next_job(&self) -> Option<Rc<Job>> {
        self.0.queue.jobs.borrow().iter().find(|job| job.phase() == Phase::Waiting).cloned()
    }

    async fn run(&self, job: &Rc<Job>) {
        let Some(source) = job.source.borrow().clone() else {
            job.set(|state| state.phase = Phase::NeedsFile);
            return;
        };
        job.set(|state| state.phase = Phase::Probing);
        self.say_uploads();
        match self.send(job, &source).await {
            Ok(()) => {
                job.source.replace(None);
                job.set(|state| {
                    state.phase = Phase::Done;
                    state.waiting = None;
                    state.bytes_done = state.bytes_total;
                });
                self.forget_notes(job).await;
                self.hang_poster(job).await;
                if let Ok(library) = self.library() {
                    self.say_library(&library);
                }
            }
            // Somebody paused it, or it is gone from the list.
            Err(ClientError::Cancelled) => {}
            Err(error) => {
                let told = vault_error(&error);
                job.set(|state| {
                    state.phase = Phase::Failed;
                    state.waiting = None;
                    state.error = Some(told);
                });
                if matches!(error, ClientError::SignedOut) || error.is_alarm() {
                    self.complain(error);
                }
            }
        }
    }

    async fn send(&self, job: &Rc<Job>, source: &FileSource) -> Result<(), ClientError> {
        let session = self.session()?;
        let video = match job.video() {
            // It is stored, and an earlier try got no further.
            Some(video) => video,
            None => self.publish(&session, job, source).await?,
        };
        job.set(|state| state.video = Some(video.to_string()));
        if let Some(folder) = &job.note.folder {
            session.library().add_to_folder(folder, &[video]).await?;
        }
        Ok(())
    }

    async fn publish(
        &self,
        session: &Session<Browser>,
        job: &Rc<Job>,
        source: &FileSource,
    ) -> Result<VideoId, ClientError> {
        let inspected = inspect(session, source).await?;
        job.set(|state| state.probe = Some(report::probe(&inspected, &job.note.name)));
        let note = &job.note;
        let options = PublishOptions {
            file_name: note.name.clone(),
            title: Some(note.title.clone()),
            again: note.again,
        };
        let control = job.control.borrow().clone();
        let heard = |progress: &Progress| self.heard_of(job, progress);
        Ok(publish(session, source, &options, &control, &heard).await?.video)
    }

    /// A finished upload gets its picture, if the page could make one.
    async fn hang_poster(&self, job: &Job) {
        let image = job.poster.take();
        if let (Some(image), Some(video)) = (image, job.video()) {
            // A video without a picture is a video all the same, and playing it gives it one.
            let _ = self.hang(video, &image).await;
        }
    }

    /// Reads back a finished upload.
    async fn check(&self, job: &Job, video: VideoId) {
        let heard = |progress: &Progress| {
            let (done, total) = (progress.bytes_done, progress.bytes_total);
            job.set(|state| state.check = Check { state: CheckState::Running, done, total, message: None });
            self.say_uploads();
        };
        let checked = async {
            let open = open_video(&self.session()?, video).await?;
            verify(&open, &job.control.borrow().clone(), &heard).await
        };
        let (state, message) = match checked.await {
            Ok(_) => (CheckState::Good, None),
            Err(error) => (CheckState::Bad, Some(vault_error(&error).message)),
        };
        job.set(|upload| upload.check = Check { state, message, ..upload.check.clone() });
        self.say_uploads();
    }

    fn heard_of(&self, job: &Job, progress: &Progress) {
        // What was paused may have a last word on its way.
        if job.phase() == Phase::Paused {
            return;
        }
        job.set(|state| {
            state.phase = match progress.phase {
                ClientPhase::Probing => Phase::Probing,
                ClientPhase::Sealing => Phase::Sealing,
                ClientPhase::Committing | ClientPhase::Checking | ClientPhase::Done => Phase::Committing,
            };
            state.bytes_done = progress.bytes_done;
            state.bytes_total = progress.bytes_total;
            state.packs_done = progress.packs_done;
            // Nobody knows before the end; this is what the rest would fill.
            let rest = state.bytes_total.saturating_sub(state.bytes_done);
            state.packs_total = progress.packs_done + rest.div_ceil(PACK);
            state.bytes_per_second = progress.bytes_per_second.map(|rate| rate as f64);
            state.seconds_left = progress.seconds_left.map(|left| left as f64);
            state.waiting = progress.waiting.as_deref().map(sentence);
        });
        self.say_uploads();
    }
}

/// Bytes of most packs.
const PACK: u64 = 16 << 20;

fn note_name(session: &Session<Browser>, upload: &str) -> String {
    format!("queue/{}/{upload}", session.account())
}

fn handle_name(session: &Session<Browser>, upload: &str) -> String {
    format!("handle/{}/{upload}", session.account())
}

/// The file's name without its extension.
fn title_of(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && (2..=5).contains(&extension.len()) => stem,
        _ => name,
    }
}
