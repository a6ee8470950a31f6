//! People: whom videos are shared with, and by which keys they are known.
//!
//! A person is an account and the fingerprint of its public keys. Both come from a contact link, which goes from person to
//! person by a way that the server cannot change, and are pinned in a sealed record of the library under a name that only
//! its owner knows. The server hands out the keys themselves: they count only where they have that fingerprint.

use gloaming_api::people::PublicKeys;
use gloaming_ids::{AccountId, RecordId, UnixMillis};
use gloaming_keys::{ContactLink, Fingerprint, PublicIdentity};

use crate::{
    ClientError, Library, Platform, Session,
    library::{Edit, fold},
    records::{ContactRecord, Digest, Kept, Record},
};

/// Somebody whose contact link was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Their account on this server.
    pub account: AccountId,
    /// What the owner of the library calls them. Nobody else knows it.
    pub name: String,
    /// By which they are known.
    pub fingerprint: Fingerprint,
    /// When their contact link was last added.
    pub verified_at: UnixMillis,
}

impl From<&ContactRecord> for Contact {
    fn from(record: &ContactRecord) -> Self {
        Self {
            account: record.account,
            name: record.name.clone(),
            fingerprint: Fingerprint(*record.fingerprint),
            verified_at: record.verified_at,
        }
    }
}

impl<P: Platform> Session<P> {
    /// Tells the server by which keys this account is known, where it says otherwise or nothing.
    pub(crate) async fn publish_identity(&self) -> Result<PublicIdentity, ClientError> {
        let identity = self.keys()?.identity().public();
        let keys = PublicKeys {
            x_wing: identity.x_wing().to_vec().into(),
            ed25519: identity.ed25519().to_vec().into(),
        };
        let server = &self.0.server;
        let known = match server.get::<PublicKeys>(&format!("/v1/people/{}", self.account())).await {
            Ok(known) => Some(known),
            Err(ClientError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        if known.as_ref() != Some(&keys) {
            server.put_quiet("/v1/identity", &keys).await?;
        }
        Ok(identity)
    }

    /// The keys of an account, as the server says. None, where it has no such account, or none of its keys.
    pub(crate) async fn keys_of(&self, account: AccountId) -> Result<Option<PublicIdentity>, ClientError> {
        match self.0.server.get::<PublicKeys>(&format!("/v1/people/{account}")).await {
            Ok(keys) => Ok(PublicIdentity::new(keys.x_wing.as_ref(), keys.ed25519.as_ref()).ok()),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<P: Platform> Library<P> {
    /// The account's own contact link: `/c/<account>#<fingerprint>`. From now on the server knows the keys to go with it.
    pub async fn contact_link(&self) -> Result<String, ClientError> {
        let fingerprint = self.0.publish_identity().await?.fingerprint();
        let link = ContactLink { account: self.0.account(), fingerprint };
        Ok(format!("/c/{}#{}", link.account, link.to_fragment()))
    }

    /// The fingerprint of the account's own keys.
    pub fn own_fingerprint(&self) -> Result<Fingerprint, ClientError> {
        Ok(self.0.keys()?.identity().public().fingerprint())
    }

    /// Everybody whose contact link was added, by name.
    pub fn contacts(&self) -> Vec<Contact> {
        let library = self.0.0.library.borrow();
        let mut contacts: Vec<Contact> = library.contacts().map(Contact::from).collect();
        contacts.sort_by_cached_key(|contact| (fold(&contact.name), contact.account));
        contacts
    }

    /// Somebody whose contact link was added.
    pub fn contact(&self, account: AccountId) -> Option<Contact> {
        self.0.0.library.borrow().contact_kept(account).map(|record| Contact::from(&record.known))
    }

    /// The contact that somebody means: a name, or an account's id, or the unique beginning or end of one.
    pub fn find_contact(&self, name: &str) -> Result<Contact, ClientError> {
        let contacts = self.contacts();
        if let Some(contact) = contacts.iter().find(|contact| contact.name == name) {
            return Ok(contact.clone());
        }
        let alike = |contact: &&Contact| {
            fold(&contact.name) == fold(name)
                || crate::library::abbreviates(name, &contact.account.to_string())
        };
        let found: Vec<&Contact> = contacts.iter().filter(alike).collect();
        match found.as_slice() {
            [] => Err(ClientError::NotFound {
                what: format!("contact {name:?}; add them by their contact link: `gloaming contact add`"),
            }),
            [contact] => Ok((*contact).clone()),
            _ => Err(ClientError::Ambiguous { name: name.into() }),
        }
    }

    /// Pins whoever a contact link is of, under a name. Somebody who is a contact already is verified anew, and keeps their
    /// name unless another is given.
    pub async fn add_contact(&self, link: &ContactLink, name: Option<&str>) -> Result<Contact, ClientError> {
        let wrong = |reason: &str| Err(ClientError::WrongState { reason: reason.into() });
        if link.account == self.0.account() {
            return wrong("this is your own contact link; give it to whoever should share with you");
        }
        let known = self.contact(link.account);
        let name = name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        let Some(name) = name.or_else(|| known.map(|contact| contact.name)) else {
            return wrong("a contact needs a name; it is for you alone");
        };
        let same_name = |other: &Contact| other.account != link.account && fold(&other.name) == fold(&name);
        if self.contacts().iter().any(same_name) {
            return wrong("you call somebody else so; choose another name");
        }
        // What is pinned is the link's; that the server has keys to it is only checked, so that sharing works afterwards.
        match self.0.keys_of(link.account).await? {
            Some(keys) if keys.fingerprint() == link.fingerprint => {}
            Some(_) => return Err(ClientError::ChangedKey { name }),
            None => {
                let what = "account of this contact link here; it may be of another server".into();
                return Err(ClientError::NotFound { what });
            }
        }
        let record = ContactRecord {
            account: link.account,
            name,
            fingerprint: Digest::new(link.fingerprint.0),
            verified_at: self.platform().now(),
        };
        let id = self.contact_id(link.account)?;
        self.write(|library| {
            let there = library.contact_kept(record.account);
            if there.is_some_and(|there| there.known == record) {
                return Ok(vec![]);
            }
            Ok(vec![Edit::Write(id, Record::Contact(Kept::over(there, record.clone())))])
        })
        .await?;
        Ok(Contact::from(&record))
    }

    /// Removes a contact. What was shared with them stays shared, until it is revoked; what they shared waits unopened.
    pub async fn remove_contact(&self, account: AccountId) -> Result<(), ClientError> {
        let id = self.contact_id(account)?;
        self.write(|library| Ok(if library.has(id) { vec![Edit::Delete(id)] } else { vec![] })).await
    }

    /// A contact's keys, as the server has them now. [`ClientError::ChangedKey`] unless they are the ones that were pinned.
    pub(crate) async fn verified_keys(&self, contact: &Contact) -> Result<PublicIdentity, ClientError> {
        match self.0.keys_of(contact.account).await? {
            Some(keys) if keys.fingerprint() == contact.fingerprint => Ok(keys),
            Some(_) => Err(ClientError::ChangedKey { name: contact.name.clone() }),
            None => Err(ClientError::NotFound {
                what: format!("account of {} on the server any more; ask them", contact.name),
            }),
        }
    }

    fn contact_id(&self, account: AccountId) -> Result<RecordId, ClientError> {
        Ok(self.0.keys()?.derive_record_id("contact", account.as_bytes()))
    }
}
