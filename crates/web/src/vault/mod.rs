//! The calls of `web/src/core/vault.ts`: each converts its arguments, asks the client, and converts the answer.
//!
//! * [`access`]: who is signed in, locking and unlocking, the account.
//! * [`library`]: the videos' records, playlists, settings.
//! * [`people`]: contacts, and what they gave or lent.
//! * [`rooms`]: rooms that this account made, and with what it comes into rooms.
//! * [`shares`]: letting others watch, and the log of it.
//! * [`uploads`]: the queue of uploads.
//! * [`watch`]: open videos, posters, downloads.

mod access;
mod library;
mod people;
mod rooms;
mod shares;
mod uploads;
mod watch;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use futures::lock::Mutex;
use gloaming_client::{Client, ClientError, Session};
use gloaming_ids::UnixMillis;
use js_sys::Function;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use self::{uploads::Queue, watch::Theatre};
use crate::{
    convert::{to_js, vault_error},
    host::Host,
    platform::Browser,
    wire::{Access, Alarm, Event},
};

/// The vault: one in each worker.
#[wasm_bindgen]
#[derive(Clone)]
pub struct WebVault(Rc<Inner>);

pub(crate) struct Inner {
    client: Client<Browser>,
    session: RefCell<Option<Session<Browser>>>,
    access: RefCell<Option<Access>>,
    looking: Mutex<()>,
    /// When it was last written down that somebody is there.
    touched: Cell<UnixMillis>,
    /// Of the library, as the page heard it last.
    told_revision: Cell<u64>,
    queue: Queue,
    theatre: Theatre,
    online: Cell<bool>,
    say: Function,
    tell_siblings: Function,
}

#[wasm_bindgen]
impl WebVault {
    /// With what the browser lends, somebody who hears events, and somebody who tells the other workers of this
    /// origin to look again.
    #[wasm_bindgen(constructor)]
    pub fn new(host: Host, say: Function, tell_siblings: Function) -> WebVault {
        let vault = WebVault(Rc::new(Inner {
            client: Client::new(Browser::new(host)),
            session: RefCell::new(None),
            access: RefCell::new(None),
            looking: Mutex::new(()),
            touched: Cell::default(),
            told_revision: Cell::new(0),
            queue: Queue::default(),
            theatre: Theatre::default(),
            online: Cell::new(true),
            say,
            tell_siblings,
        }));
        vault.watch_idleness();
        vault
    }

    /// The browser says whether there is a network.
    pub fn network(&self, online: bool) {
        if self.0.online.replace(online) != online {
            self.say(&Event::Online { online });
        }
    }
}

impl WebVault {
    fn say(&self, event: &Event) {
        // The listener posts a message: it has nothing to throw.
        let _ = self.0.say.call1(&JsValue::NULL, &to_js(event));
    }

    fn tell_siblings(&self) {
        let _ = self.0.tell_siblings.call0(&JsValue::NULL);
    }

    fn platform(&self) -> &Browser {
        self.0.client.platform()
    }

    /// Whoever is signed in, locked or not.
    fn session(&self) -> Result<Session<Browser>, ClientError> {
        self.0.session.borrow().clone().ok_or(ClientError::SignedOut)
    }

    /// For the page, as an exception; alarms are told besides, and the end of a session changes where we stand.
    fn complain(&self, error: ClientError) -> JsValue {
        let told = vault_error(&error);
        if error.is_alarm() {
            self.say(&Event::Alarm {
                alarm: Alarm { code: told.code.clone(), message: told.message.clone() },
            });
        }
        if matches!(error, ClientError::SignedOut) {
            if self.0.session.replace(None).is_some() {
                self.put_away();
                let vault = self.clone();
                // Whoever ended this session may have done it because the device is in other hands.
                spawn_local(async move { vault.0.client.forget_keys().await });
            }
            self.enter(Access::SignedOut);
        }
        to_js(&told)
    }

    /// What was opened goes: the page is locked, or somebody else's.
    fn put_away(&self) {
        self.stop_uploads();
        self.0.theatre.close_all();
        self.0.told_revision.set(0);
    }
}
