//! People: contacts, sharing with them, and what they gave or lent.

use gloaming_client::{
    ClientError, Download, people,
    received::{Contents, Received, ReceivedVideo},
    share::{PersonWish, Shared},
};
use gloaming_ids::{AccountId, ShareId, VideoId};
use gloaming_keys::ContactLink;
use wasm_bindgen::prelude::*;

use super::{WebVault, access::origin, shares};
use crate::{
    convert::{Answer, from_js, id, thrown, to_js, vault_error},
    platform::Browser,
    playing::{open_beginning, playable},
    wire::{self, ContactAsk, PersonAsk, SharedTitle},
};

#[wasm_bindgen]
impl WebVault {
    /// The account's own contact link: `{ link, fingerprint }`.
    #[wasm_bindgen(js_name = contactLink)]
    pub async fn contact_link(&self) -> Answer {
        let path = self.change(async |library| library.contact_link().await).await?;
        let fingerprint = self.library()?.own_fingerprint().map_err(|error| self.complain(error))?;
        let link = format!("{}{path}", origin());
        Ok(to_js(&wire::OwnContact { link, fingerprint: fingerprint.to_string() }))
    }

    /// Everybody whose contact link was added, by name.
    pub async fn contacts(&self) -> Answer {
        Ok(to_js(&self.library()?.contacts().iter().map(contact).collect::<Vec<_>>()))
    }

    /// What a contact link says: `{ account, fingerprint, name, own, changed }`; `name` where they are a contact already, and
    /// `changed` where those keys were others. Asks nobody.
    #[wasm_bindgen(js_name = readContact)]
    pub async fn read_contact(&self, link: String) -> Answer {
        let link = ContactLink::parse(&link).map_err(|error| thrown(error.into()))?;
        let library = self.library()?;
        let known = library.contact(link.account);
        let own = self.session().map_err(|error| self.complain(error))?.account() == link.account;
        Ok(to_js(&wire::ContactRead {
            account: link.account.to_string(),
            fingerprint: link.fingerprint.to_string(),
            own,
            changed: known.as_ref().is_some_and(|known| known.fingerprint != link.fingerprint),
            name: known.map(|known| known.name),
        }))
    }

    /// Adds somebody by their contact link, or verifies them anew: `{ link, name }` → the contact.
    #[wasm_bindgen(js_name = addContact)]
    pub async fn add_contact(&self, ask: JsValue) -> Answer {
        let ContactAsk { link, name } = from_js(&ask)?;
        let link = ContactLink::parse(&link).map_err(|error| thrown(error.into()))?;
        let added = self.change(async |library| library.add_contact(&link, name.as_deref()).await).await?;
        Ok(to_js(&contact(&added)))
    }

    /// Removes a contact. What was shared with them stays shared.
    #[wasm_bindgen(js_name = removeContact)]
    pub async fn remove_contact(&self, account: String) -> Answer<()> {
        let account: AccountId = id(&account)?;
        self.change(async |library| library.remove_contact(account).await).await
    }

    /// Gives or lends to a contact: `{ what, to, lend, mark, policy }` → the share.
    #[wasm_bindgen(js_name = shareWith)]
    pub async fn share_with(&self, ask: JsValue) -> Answer {
        let PersonAsk { what, to, lend, mark, policy } = from_js(&ask)?;
        let what = match what {
            wire::Shared::Video { id: video } => Shared::Video(id(&video)?),
            wire::Shared::Playlist { id: list } => Shared::Playlist(id(&list)?),
        };
        let to: AccountId = id(&to)?;
        let made = self
            .change(async |library| {
                let gone = || ClientError::NotFound { what: "such contact any more".into() };
                let to = library.contact(to).ok_or_else(gone)?;
                let policy = policy.clone().into();
                library.share_with(&PersonWish { what, to: &to, lend, mark, policy }).await
            })
            .await?;
        Ok(to_js(&shares::shown(&made)))
    }

    /// What others gave or lent to this account, the newest first.
    pub async fn received(&self) -> Answer {
        let received = self.change(async |library| library.received().await).await?;
        Ok(to_js(&received.into_iter().map(row).collect::<Vec<_>>()))
    }

    /// Opens a received video: `{ kind, from, name, mark, mayDownload, videos, playable }`.
    #[wasm_bindgen(js_name = openReceived)]
    pub async fn open_received(&self, share: String, video: String) -> Answer {
        let received = self.opened_received(&share, &video).await?;
        let open = received.video().clone();
        open_beginning(&open, 0.0);
        let showing = wire::ReceivedShowing {
            kind: received.kind().into(),
            from: received.from().into(),
            name: received.name().into(),
            mark: received.mark().into(),
            may_download: received.may_download().is_ok(),
            videos: received.titles().iter().map(title).collect(),
            playable: playable(&open, received.title().into(), 0.0),
        };
        self.0.theatre.show(open);
        Ok(to_js(&showing))
    }

    /// Begins a download of a received video, where that is allowed: `{ download, name, size }`.
    #[wasm_bindgen(js_name = startReceivedDownload)]
    pub async fn start_received_download(&self, share: String, video: String) -> Answer {
        let received = self.opened_received(&share, &video).await?;
        received.may_download().map_err(|error| self.complain(error))?;
        let download = Download::new(received.video()).await.map_err(|error| self.complain(error))?;
        let number = self.0.theatre.downloads().begin(download);
        let name = format!("{}.mp4", received.title());
        Ok(to_js(&serde_json::json!({ "download": number, "name": name, "size": null })))
    }
}

impl WebVault {
    async fn opened_received(&self, share: &str, video: &str) -> Answer<ReceivedVideo<Browser>> {
        let (share, video): (ShareId, VideoId) = (id(share)?, id(video)?);
        let opened = self.library()?.open_received(share, video).await;
        // What is wrong with somebody else's video is said where it stands; it says nothing of the library.
        let wrong = |error: ClientError| if error.is_alarm() { thrown(error) } else { self.complain(error) };
        opened.map_err(wrong)
    }
}

fn contact(contact: &people::Contact) -> wire::Contact {
    wire::Contact {
        account: contact.account.to_string(),
        name: contact.name.clone(),
        fingerprint: contact.fingerprint.to_string(),
        verified_at: contact.verified_at.0,
    }
}

fn title(one: &gloaming_client::viewer::SharedTitle) -> SharedTitle {
    SharedTitle { video: one.video.to_string(), title: one.title.clone() }
}

fn row(received: Received) -> wire::Received {
    let contents = match received.contents {
        Contents::Open { name, videos } => {
            wire::Contents::Open { name, videos: videos.iter().map(title).collect() }
        }
        Contents::Quarantined { fingerprint } => wire::Contents::Quarantined {
            fingerprint: fingerprint.map(|fingerprint| fingerprint.to_string()),
        },
        Contents::Refused(error) => wire::Contents::Refused { error: vault_error(&error) },
    };
    wire::Received {
        share: received.share.to_string(),
        sender: received.sender.to_string(),
        from: received.from,
        kind: received.kind.into(),
        policy: received.policy.into(),
        created_at: received.created_at.0,
        contents,
    }
}
