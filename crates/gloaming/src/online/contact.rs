use std::io::IsTerminal;

use clap::{Args, Subcommand};
use gloaming_client::{Library, people::Contact as Known};
use gloaming_keys::{ContactLink, Fingerprint};
use qrcode::{QrCode, render::unicode::Dense1x2};
use serde_json::{Value, json};

use super::{block_on, date, machine::Machine, remote::Remote};
use crate::{Run, failure::Failure, terminal::Terminal};

/// Show your contact link, and add whom you share with by theirs
///
/// A contact link says by which keys somebody is known. Send yours by a way that this server has no hand in (in person, by a
/// messenger): then nobody, not even the server, can put other keys in the place of yours. Nothing in it is a secret.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming contact
  gloaming contact add 'https://films.example/c/…#…' --name Ana
  gloaming contact ls")]
pub(crate) struct Contact {
    #[command(flatten)]
    remote: Remote,

    #[command(subcommand)]
    verb: Option<ContactVerb>,
}

#[derive(Debug, Subcommand)]
enum ContactVerb {
    /// Add somebody by their contact link; or verify them anew, after their keys changed
    #[command(after_help = "Example:
  gloaming contact add 'https://films.example/c/…#…' --name Ana")]
    Add {
        /// The whole link, with what stands behind its #
        link: String,
        /// What you call them: for you alone. Somebody who is a contact already keeps their name without it
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// List whom you can share with
    Ls,
    /// Remove somebody. What you shared with them stays shared until you revoke it
    Rm {
        /// Their name, or the beginning of their account's id
        name: String,
    },
}

impl Run for Contact {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            match self.verb {
                None => own(terminal, &library).await,
                Some(ContactVerb::Add { link, name }) => {
                    let link = ContactLink::parse(&link)?;
                    let contact = library.add_contact(&link, name.as_deref()).await?;
                    terminal.print(&contact_json(&contact), |_| line(&contact));
                    Ok(())
                }
                Some(ContactVerb::Ls) => {
                    let contacts = library.contacts();
                    let data: Vec<_> = contacts.iter().map(contact_json).collect();
                    terminal.print(&data, |_| contacts.iter().map(line).collect());
                    if contacts.is_empty() {
                        terminal.note(
                            "Nobody yet. Ask somebody for their contact link (`gloaming contact` shows yours), and add it.",
                        );
                    }
                    Ok(())
                }
                Some(ContactVerb::Rm { name }) => {
                    let contact = library.find_contact(&name)?;
                    library.remove_contact(contact.account).await?;
                    terminal.print(&contact_json(&contact), |_| String::new());
                    Ok(())
                }
            }
        })
    }
}

async fn own(terminal: &Terminal, library: &Library<Machine>) -> Result<(), Failure> {
    let link = library.platform().page(&library.contact_link().await?);
    let fingerprint = library.own_fingerprint()?;
    let data = json!({ "link": link, "fingerprint": fingerprint.to_string() });
    terminal.print(&data, |_| {
        let code = std::io::stdout().is_terminal().then(|| QrCode::new(&link).ok()).flatten();
        let code = code.map_or(String::new(), |code| code.render::<Dense1x2>().build() + "\n");
        format!("{code}{link}\n")
    });
    terminal.note(&format!("Fingerprint: {}", spelled(&fingerprint)));
    Ok(())
}

/// In groups of four, for people who compare.
pub(super) fn spelled(fingerprint: &Fingerprint) -> String {
    let digits = fingerprint.to_string();
    let groups: Vec<&str> = (0..digits.len()).step_by(4).map(|at| &digits[at..at + 4]).collect();
    groups.join(" ")
}

fn contact_json(contact: &Known) -> Value {
    json!({
        "account": contact.account, "name": contact.name, "fingerprint": contact.fingerprint.to_string(),
        "verified_at": contact.verified_at,
    })
}

fn line(contact: &Known) -> String {
    let Known { account, name, verified_at, .. } = contact;
    format!("{account}  verified {}  {name}\n", date(*verified_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_out_in_groups() {
        let text = spelled(&Fingerprint(std::array::from_fn(|n| n as u8)));
        assert_eq!(text, "0001 0203 0405 0607 0809 0a0b 0c0d 0e0f 1011 1213 1415 1617 1819 1a1b 1c1d 1e1f");
    }
}
