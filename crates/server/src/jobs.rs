use std::time::Duration;

use futures::StreamExt;
use gloaming_ids::ObjectId;
use tokio::sync::watch;

use gloaming_grants::chain::EPOCH;

use crate::{
    app::App,
    rooms::{GLANCE, Rooms},
};

/// Between two rounds of housekeeping.
const ROUND: Duration = Duration::from_secs(60);
/// Objects deleted in one go.
const OBJECTS_AT_ONCE: u32 = 256;
/// Deletions under way at a time.
const IN_FLIGHT: usize = 8;
/// Goes in one round at most: what is left waits for the next.
const GOES: usize = 40;

/// The housekeeping: abandoned drafts, ended sessions and attempts, objects that nothing refers to.
#[derive(Clone)]
pub struct Jobs {
    app: App,
}

impl Jobs {
    pub(crate) fn new(app: App) -> Self {
        Self { app }
    }

    /// A round now and then, and soon after something was deleted, until told to stop.
    pub(crate) async fn run(self, stopped: watch::Receiver<bool>) {
        tokio::join!(
            self.rounds(stopped.clone()),
            self.epochs(stopped.clone()),
            self.rooms(stopped.clone()),
            self.clearing(stopped)
        );
    }

    async fn epochs(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EPOCH) => self.sweep_playbacks(),
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn rooms(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            let over = tokio::time::timeout(GLANCE, stopped.wait_for(|stop| *stop)).await.is_ok();
            if over {
                return;
            }
            Rooms::glance(&self.app).await;
        }
    }

    async fn clearing(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            self.clear_log().await;
            tokio::select! {
                () = tokio::time::sleep(self.app.config.playback.cleanup_interval) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Steps viewers' sessions to their epoch, so that idle ones forget their old keys too, and ends those that are over.
    pub fn sweep_playbacks(&self) {
        self.app.playbacks.sweep(&self.app, self.app.now());
    }

    /// Clears grants away that have been in the log for as long as they may.
    pub async fn clear_log(&self) {
        let Some(retention) = self.app.config.playback.log_retention else { return };
        let kept = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
        let cutoff = gloaming_ids::UnixMillis(self.app.now().0.saturating_sub(kept));
        loop {
            match self.app.store.clear_grant_log(cutoff).await {
                Ok(0) => return,
                Ok(cleared) => tracing::info!(cleared, "old grants were cleared away"),
                Err(error) => return tracing::error!(%error, "housekeeping: the log of grants"),
            }
        }
    }

    async fn rounds(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            self.round().await;
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                () = self.app.deleted.notified() => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One round.
    pub async fn round(&self) {
        let app = &self.app;
        let now = app.now();
        app.sign_ins.forget_expired(now);
        app.recoveries.forget_expired(now);
        app.limits.forget_idle();
        for _ in 0..GOES {
            match app.store.expire_sessions(now).await {
                Ok(0) => break,
                Ok(ended) => tracing::info!(ended, "sessions ended by themselves"),
                Err(error) => return tracing::error!(%error, "housekeeping: sessions"),
            }
        }
        for _ in 0..GOES {
            match app.store.give_up_drafts(now).await {
                Ok(0) => break,
                Ok(given_up) => tracing::info!(given_up, "abandoned drafts and objects were given up"),
                Err(error) => return tracing::error!(%error, "housekeeping: drafts"),
            }
        }
        match Rooms::expire(app).await {
            Ok(0) => {}
            Ok(over) => tracing::info!(over, "rooms were over"),
            Err(error) => return tracing::error!(%error, "housekeeping: rooms"),
        }
        for _ in 0..GOES {
            match delete_orphans(&app.store, &app.blobs, now).await {
                Ok(0) => break,
                Ok(deleted) => tracing::info!(deleted, "objects deleted"),
                Err(error) => return tracing::error!(%error, "housekeeping: objects"),
            }
        }
    }
}

/// Deletes the bytes of some objects that nothing refers to; how many.
pub(crate) async fn delete_orphans(
    store: &gloaming_store::Store,
    blobs: &gloaming_blobs::Blobs,
    now: gloaming_ids::UnixMillis,
) -> Result<usize, gloaming_store::StoreError> {
    let due = store.orphans(now, OBJECTS_AT_ONCE).await?;
    let deleted: Vec<ObjectId> = futures::stream::iter(due)
        .map(async |object| match blobs.delete(object).await {
            Ok(()) => Some(object),
            Err(error) => {
                tracing::warn!(%error, %object, "an object could not be deleted; the next round tries again");
                None
            }
        })
        .buffer_unordered(IN_FLIGHT)
        .filter_map(async |deleted| deleted)
        .collect()
        .await;
    let count = deleted.len();
    store.orphans_deleted(deleted, now).await?;
    Ok(count)
}
