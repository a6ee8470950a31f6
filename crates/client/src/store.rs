//! Getting ranges of stored objects, from addresses that somebody signs.

use std::{cell::RefCell, collections::HashMap, ops::Range, time::Duration};

use gloaming_api::{
    people::GiftObjects,
    playback::MAX_PLAYBACK_OBJECTS,
    video::{ObjectIds, SignedDownload, SignedDownloads},
};
use gloaming_ids::{ObjectId, ShareId, VideoId};

use crate::{
    ClientError, Platform,
    platform::{Bulk, StoreFailure},
    server::Server,
};

/// Addresses that were signed, by object.
pub(crate) type Addresses = RefCell<HashMap<ObjectId, SignedDownload>>;

/// Addresses for the owner of the objects.
pub(crate) async fn sign_own<P: Platform>(
    server: &Server<P>,
    objects: Vec<ObjectId>,
) -> Result<Vec<SignedDownload>, ClientError> {
    let signed: SignedDownloads = server.post_again("/v1/urls", &ObjectIds { objects }).await?;
    Ok(signed.downloads)
}

/// Addresses for whom the video was given to; of the first objects, where there are many.
pub(crate) async fn sign_given<P: Platform>(
    server: &Server<P>,
    share: ShareId,
    video: VideoId,
    mut objects: Vec<ObjectId>,
) -> Result<Vec<SignedDownload>, ClientError> {
    objects.truncate(MAX_PLAYBACK_OBJECTS);
    let wish = GiftObjects { video_id: video, objects };
    let signed: SignedDownloads = server.post_again(&format!("/v1/received/{share}/urls"), &wish).await?;
    Ok(signed.downloads)
}

/// Gets a range of an object: asks for addresses where there are none, again where they expired, and once or twice more
/// where the network hiccups.
pub(crate) async fn fetch<P: Platform>(
    platform: &P,
    sign: impl AsyncFn(Vec<ObjectId>) -> Result<Vec<SignedDownload>, ClientError>,
    addresses: &Addresses,
    ahead: impl Fn(ObjectId) -> Vec<ObjectId>,
    object: ObjectId,
    range: Range<u64>,
) -> Result<P::Bytes, ClientError> {
    let (mut pause, mut tries) = (Duration::from_millis(200), 0);
    loop {
        let known = addresses.borrow().get(&object).cloned();
        let download = match known {
            Some(download) => download,
            None => {
                let mut objects = ahead(object);
                if !objects.contains(&object) {
                    objects.insert(0, object);
                }
                let signed = sign(objects).await?;
                let mut addresses = addresses.borrow_mut();
                addresses.extend(signed.into_iter().map(|download| (download.object, download)));
                let found = addresses.get(&object).cloned();
                found.ok_or_else(|| ClientError::nonsense("no address for an object"))?
            }
        };
        if range.end > download.length {
            return Err(ClientError::tampered("an object of this video (it is too short)"));
        }
        tries += 1;
        match platform.get(&download, range.clone()).await {
            Ok(bytes) if bytes.len() == range.end - range.start => return Ok(bytes),
            Ok(_) | Err(StoreFailure::WrongLength) => {
                return Err(ClientError::tampered("an object of this video (it is too short)"));
            }
            Err(StoreFailure::Expired) if tries < 4 => {
                addresses.borrow_mut().remove(&object);
            }
            Err(StoreFailure::Offline(_) | StoreFailure::Busy | StoreFailure::Status(500..)) if tries < 4 => {
                platform.sleep(pause).await;
                pause *= 3;
            }
            Err(failure) => return Err(failure.into()),
        }
    }
}
