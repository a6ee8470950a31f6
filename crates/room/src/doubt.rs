/// Something that reached a member and was refused. Some of it is our own mistake or an old version; some of it is how a
/// hostile server shows. Nothing of it ever changed the member's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Doubt {
    /// A frame of the socket that is no message of this protocol.
    #[error("the server sent something that is not part of the protocol")]
    MalformedFrame,
    /// A commit that is no plain commit of a member: external, a proposal on its own, by reference, or of another kind.
    #[error("somebody tried to change the group in a way that is not allowed")]
    ForeignProposal,
    /// A commit without the key that only those with the link can derive, or with another one.
    #[error("a change of the group lacks the secret of the link")]
    WithoutLink,
    /// A commit that adds somebody who did not show that they have the link.
    #[error("somebody was to be added who does not have the link")]
    BadJoinProof,
    /// A commit, or somebody at the door, that lacks the host's admission where the room has a lobby; or with a forged one.
    #[error("somebody was to be added whom the host did not admit")]
    NotAdmitted,
    /// A commit that claims to be the host's removal of somebody, and is not.
    #[error("a removal claims to come from the host and does not")]
    NotTheHost,
    /// A commit of an epoch that is over: served again, or a fork.
    #[error("the server replayed an old change of the group, or shows people different ones")]
    OldEpoch,
    /// A commit of an epoch that is still to come: something was withheld.
    #[error("the server withholds a change of the group")]
    MissingEpoch,
    /// A commit that does not verify against the group's keys.
    #[error("a change of the group does not verify")]
    Forged,
    /// A welcome that leads into another group, or into one that was not made with the link's secret.
    #[error("the server tried to lead us into a group that does not have the link's secret")]
    FalseWelcome,
    /// Something that a member said does not open.
    #[error("a message did not open")]
    Unreadable,
    /// A message that came a second time.
    #[error("the server replayed a message")]
    Replayed,
    /// Messages of somebody are missing.
    #[error("the server withholds messages")]
    Withheld,
    /// A message that was for somebody else, or under somebody else's name.
    #[error("a message was delivered to the wrong seat")]
    Misdelivered,
    /// A seat's card does not belong to the seat.
    #[error("somebody's device does not vouch for their seat")]
    BadCard,
}

impl Doubt {
    /// A name that does not change, for a page to match on.
    pub fn code(self) -> &'static str {
        match self {
            Doubt::MalformedFrame => "malformed_frame",
            Doubt::ForeignProposal => "foreign_proposal",
            Doubt::WithoutLink => "without_link",
            Doubt::BadJoinProof => "bad_join_proof",
            Doubt::NotAdmitted => "not_admitted",
            Doubt::NotTheHost => "not_the_host",
            Doubt::OldEpoch => "old_epoch",
            Doubt::MissingEpoch => "missing_epoch",
            Doubt::Forged => "forged",
            Doubt::FalseWelcome => "false_welcome",
            Doubt::Unreadable => "unreadable",
            Doubt::Replayed => "replayed",
            Doubt::Withheld => "withheld",
            Doubt::Misdelivered => "misdelivered",
            Doubt::BadCard => "bad_card",
        }
    }
}
