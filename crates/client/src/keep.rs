//! What becomes of a video after it is in the library: trash, deletion, posters, and videos that nobody lists.
//!
//! Trash and restoration are done with the server first and in the record second; deletion likewise. Whatever dies in
//! between is done again by asking again: the record still shows the video where it was.

use gloaming_api::video::{Commit, VideoInfo, VideoList, VideoOpened, VideoState};
use gloaming_ids::{ObjectId, VideoId};
use gloaming_keys::sha256;
use gloaming_package::Poster;

use crate::{
    ClientError, Library, Phase, Platform, PosterInfo, Session,
    platform::Bulk,
    progress::Meter,
    publish::{Counts, store_object},
    records::Digest,
    store::{fetch, sign_own},
    watch::open_own,
};

impl<P: Platform> Library<P> {
    /// Puts a video into the trash.
    pub async fn trash(&self, video: VideoId) -> Result<(), ClientError> {
        self.set_state(video, "trash").await?;
        let now = self.0.platform().now();
        self.edit_video(video, |record| {
            record.trashed_at.get_or_insert(now);
        })
        .await
    }

    /// Takes a video out of the trash.
    pub async fn restore(&self, video: VideoId) -> Result<(), ClientError> {
        self.set_state(video, "restore").await?;
        self.edit_video(video, |record| record.trashed_at = None).await
    }

    /// Deletes a video for good: what is stored, its record, its places in playlists.
    pub async fn delete(&self, video: VideoId) -> Result<(), ClientError> {
        match self.0.0.server.delete(&format!("/v1/videos/{video}")).await {
            // It was deleted before, and the record was not yet.
            Ok(()) | Err(ClientError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        self.remove_video(video).await
    }

    async fn set_state(&self, video: VideoId, verb: &str) -> Result<(), ClientError> {
        let path = format!("/v1/videos/{video}/{verb}");
        let info: VideoInfo = match self.0.0.server.post_again(&path, &serde_json::json!({})).await {
            Err(ClientError::WrongState { reason }) => {
                // Perhaps an earlier try got this far.
                let opened: VideoOpened = self.0.0.server.get(&format!("/v1/videos/{video}")).await?;
                let wanted = if verb == "trash" { VideoState::Trashed } else { VideoState::Kept };
                if opened.info.state != wanted {
                    return Err(ClientError::WrongState { reason });
                }
                opened.info
            }
            answer => answer?,
        };
        if info.video == video { Ok(()) } else { Err(ClientError::nonsense("another video")) }
    }

    /// A video's picture.
    pub async fn poster(&self, video: VideoId) -> Result<Option<Poster>, ClientError> {
        let Some(poster) = self.video_record(video).and_then(|record| record.poster) else { return Ok(None) };
        let session = &self.0;
        let opened: VideoOpened = session.0.server.get(&format!("/v1/videos/{video}")).await?;
        let secret = session
            .keys()?
            .open_video_secret(opened.info.sealed_secret.as_ref(), session.account(), video)
            .map_err(|error| ClientError::sealed(error, "the key of this video"))?;
        let server = &session.0.server;
        let sign = async |objects| sign_own(server, objects).await;
        let (none, range) = (Default::default(), 0..poster.length);
        let bytes = fetch(session.platform(), sign, &none, |_| vec![], poster.object, range).await?.to_vec();
        if sha256(&bytes) != *poster.digest {
            return Err(ClientError::tampered("the picture of this video"));
        }
        let opened = Poster::open(&bytes, &secret.view_share, video, poster.version);
        opened.map(Some).map_err(|_| ClientError::tampered("the picture of this video"))
    }

    /// Gives a video a picture. A new version of its index says where it rests.
    pub async fn set_poster(
        &self,
        video: VideoId,
        poster: &Poster,
        (width, height): (u32, u32),
        blurhash: &str,
    ) -> Result<(), ClientError> {
        let session = &self.0;
        let (open, secret) = open_own(session, video).await?;
        let (before, version) = (open.version(), open.version() + 1);
        let view = &secret.view_share;
        let mut entropy = session.0.server.entropy();
        let sealed = poster.seal(view, video, version, &mut entropy);
        let index = open.index().seal(view, &secret.signer(), version, &mut entropy);

        let quiet = |_: &crate::Progress| {};
        let total = (sealed.len() + index.bytes.len()) as u64;
        let meter = Meter::new(session.0.server.platform.clone(), total, &quiet);
        meter.phase(Phase::Committing);
        let info = PosterInfo {
            object: self.put(video, sealed.clone(), &meter).await?,
            version,
            length: sealed.len() as u64,
            digest: Digest::new(sha256(&sealed)),
            width,
            height,
            blurhash: blurhash.into(),
        };
        let index_object = self.put(video, index.bytes, &meter).await?;
        let tracks = 0..open.index().tracks().len() as u16;
        let mut objects: Vec<ObjectId> =
            tracks.flat_map(|track| open.index().packs(track)).map(|pack| pack.object).collect();
        objects.extend([index_object, info.object]);
        let commit = Commit {
            expected_version: before,
            index_version: version,
            index: index_object,
            card: None,
            poster: Some(info.object),
            objects,
        };
        let _: VideoInfo =
            session.0.server.post_again(&format!("/v1/videos/{video}/commit"), &commit).await?;
        let digest = Digest::new(index.sha256);
        self.edit_video(video, |record| {
            if record.index_version <= version {
                (record.index_version, record.index_digest) = (version, digest);
                record.poster = Some(info.clone());
            }
        })
        .await
    }

    async fn put(
        &self,
        video: VideoId,
        bytes: Vec<u8>,
        meter: &Meter<'_, P>,
    ) -> Result<ObjectId, ClientError> {
        let counts = Counts { bytes: bytes.len() as u64, packs: 0 };
        store_object(&self.0, video, &[P::Bytes::from_vec(bytes)], 0, counts, meter).await
    }
}

/// Videos that the server keeps and no record names: uploads whose device was lost between commit and record.
pub async fn orphans<P: Platform>(session: &Session<P>) -> Result<Vec<VideoInfo>, ClientError> {
    let library = session.library();
    let mut orphans = Vec::new();
    let mut after = None;
    loop {
        let path = match after {
            None => "/v1/videos?limit=500".to_owned(),
            Some(video) => format!("/v1/videos?limit=500&after={video}"),
        };
        let VideoList { videos, more } = session.0.server.get(&path).await?;
        after = videos.last().map(|info| info.video);
        orphans.extend(
            videos.into_iter().filter(|i| i.state != VideoState::Draft && library.video(i.video).is_none()),
        );
        if !more || after.is_none() {
            return Ok(orphans);
        }
    }
}
