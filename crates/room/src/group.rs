//! The group of keys: openmls, as this protocol uses it.
//!
//! ```text
//! epoch 0   the founder alone
//! commit    Add* Remove* PreSharedKey(external, the link's), always with a path; PublicMessage
//!           authenticated data = CBOR { proofs: one per Add, expel? }
//! Welcome   with the tree inside; joined only if it names the link's pre-shared key
//! ```
//!
//! What every member checks of every commit, in [`Group::check`], before anything of it counts:
//!
//! * it is a plain commit of a member (no external commit, no proposal on its own, by reference, or of another kind);
//! * it carries the pre-shared key of the link that is valid now, and only that;
//! * whom it adds proved to have the link, and was admitted by the host where there is a lobby;
//! * if it claims to be a removal by the host, then the host signed it, and it does nothing else.

use std::collections::BTreeMap;

use gloaming_ids::{GroupId, SeatId};
use gloaming_room_log::PublicCommit;
use openmls::{
    group::GroupId as MlsGroupId,
    prelude::{
        BasicCredential, Capabilities, CredentialType, CredentialWithKey, KeyPackage, KeyPackageIn,
        LeafNodeIndex, Lifetime, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn,
        MlsMessageIn, MlsMessageOut, OpenMlsProvider, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
        PreSharedKeyProposal, ProcessedMessageContent, ProcessedWelcome, Proposal, ProtocolMessage,
        ProtocolVersion, Sender, SenderRatchetConfiguration, StagedCommit,
        tls_codec::{Deserialize as _, Serialize as _},
    },
    schedule::{
        PreSharedKeyId,
        psk::{ExternalPsk, Psk},
    },
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    Doubt, Invite, RoomSecret,
    device::{HostOrder, SeatContext},
    suite::{Provider, SUITE, SeatSigner},
};

const SECRET_LENGTH: usize = 32;
const FRAME_BASE_LENGTH: usize = 16;
/// How many past epochs' messages still open: as the log takes them.
const PAST_EPOCHS: usize = gloaming_room_log::PAST_EPOCHS as usize;

/// This member's place in a group, and the group's keys.
pub(crate) struct Group {
    id: GroupId,
    mls: MlsGroup,
}

/// What a commit says beside its proposals.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    proofs: Vec<JoinProof>,
    expel: Option<Expel>,
}

/// That somebody may be added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinProof {
    /// They have the link.
    #[serde(with = "serde_bytes")]
    pub(crate) proof: [u8; 32],
    /// The host admitted them.
    pub(crate) admission: Option<serde_bytes::ByteArray<64>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expel {
    seat: SeatId,
    #[serde(with = "serde_bytes")]
    signature: [u8; 64],
}

/// Somebody who may be added.
pub(crate) struct Candidate {
    pub(crate) key_package: KeyPackage,
    pub(crate) hash: [u8; 32],
    pub(crate) proof: JoinProof,
    /// Whether all that the room asks for is there.
    pub(crate) admitted: bool,
}

/// What a commit of ours is made of.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    pub(crate) add: Vec<&'a Candidate>,
    pub(crate) remove: Vec<u32>,
    pub(crate) expel: Option<(SeatId, [u8; 64])>,
}

/// A commit of ours that waits to be first.
pub(crate) struct Made {
    pub(crate) message: Vec<u8>,
    pub(crate) welcome: Option<Vec<u8>>,
}

/// A commit of somebody else that passed every check.
pub(crate) struct Checked {
    staged: Box<StagedCommit>,
    pub(crate) by: u32,
    expelled: Option<SeatId>,
}

/// What a commit changed.
pub(crate) struct Change {
    pub(crate) joined: Vec<(u32, SeatId)>,
    pub(crate) removed: Vec<(u32, SeatId)>,
    /// The host removed somebody: links are new.
    pub(crate) expelled: Option<SeatId>,
    /// This member is no longer in the group.
    pub(crate) out: bool,
}

fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        None,
        None,
        Some(&[CredentialType::Basic]),
    )
}

/// Ours never end: a key package lives as long as its seat's knock, which is not told by any clock.
fn lifetime() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

fn ratchet() -> SenderRatchetConfiguration {
    // How many messages of a sender may come late, and how many may be left out: those for others are not delivered.
    SenderRatchetConfiguration::new(64, 4096)
}

fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(64)
        .max_past_epochs(PAST_EPOCHS)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(true)
        .sender_ratchet_configuration(ratchet())
        .build()
}

fn credential(seat: SeatId, signer: &SeatSigner) -> CredentialWithKey {
    CredentialWithKey {
        credential: BasicCredential::new(seat.as_bytes().to_vec()).into(),
        signature_key: signer.public().to_vec().into(),
    }
}

fn seat_of(identity: &[u8]) -> Option<SeatId> {
    identity.try_into().ok().map(SeatId::from_bytes)
}

/// The pre-shared key of this link, ready for openmls to find.
fn store_psk(provider: &Provider, invite: &Invite, group: GroupId) -> Psk {
    let psk = Psk::External(ExternalPsk::new(invite.psk_id(group)));
    let nonce = vec![0; SECRET_LENGTH]; // not part of what is stored
    PreSharedKeyId::external(invite.psk_id(group), nonce)
        .store(provider, &*invite.psk(group))
        .expect("memory keeps it");
    psk
}

/// A fresh KeyPackage for a seat, as it is sent, and its hash.
pub(crate) fn key_package(provider: &Provider, seat: SeatId, signer: &SeatSigner) -> (Vec<u8>, [u8; 32]) {
    let bundle = KeyPackage::builder()
        .key_package_lifetime(lifetime())
        .leaf_node_capabilities(capabilities())
        .build(SUITE, provider, signer, credential(seat, signer))
        .expect("the suite is supported and memory keeps it");
    let package = bundle.into_key_package();
    let hash = hash(&package);
    let message = MlsMessageOut::from(package).to_bytes().expect("a key package is short");
    (message, hash)
}

fn hash(package: &KeyPackage) -> [u8; 32] {
    Sha256::digest(package.tls_serialize_detached().expect("a key package is short")).into()
}

/// Reads what somebody at the door sent. `None` where it is not a sound KeyPackage of that seat.
pub(crate) fn read_key_package(
    provider: &Provider,
    seat: SeatId,
    message: &[u8],
) -> Option<(KeyPackage, [u8; 32], Vec<u8>)> {
    let message = MlsMessageIn::tls_deserialize_exact(message).ok()?;
    let MlsMessageBodyIn::KeyPackage(package) = message.extract() else { return None };
    let package = KeyPackageIn::validate(package, provider.crypto(), ProtocolVersion::Mls10).ok()?;
    let leaf = package.leaf_node();
    let theirs = seat_of(leaf.credential().serialized_content())? == seat;
    let key = leaf.signature_key().as_slice().to_vec();
    let hash = hash(&package);
    (theirs && package.ciphersuite() == SUITE).then_some((package, hash, key))
}

impl Group {
    /// A group of one.
    pub(crate) fn found(
        provider: &Provider,
        id: GroupId,
        seat: SeatId,
        signer: &SeatSigner,
        invite: &Invite,
    ) -> Self {
        let config = MlsGroupCreateConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .ciphersuite(SUITE)
            .capabilities(capabilities())
            .lifetime(lifetime())
            .padding_size(64)
            .max_past_epochs(PAST_EPOCHS)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .sender_ratchet_configuration(ratchet())
            .build();
        let mls = MlsGroup::new_with_group_id(
            provider,
            signer,
            &config,
            MlsGroupId::from_slice(id.as_bytes()),
            credential(seat, signer),
        )
        .expect("the suite is supported and memory keeps it");
        store_psk(provider, invite, id);
        Self { id, mls }
    }

    /// Joins by a Welcome, and only into the group that was asked for, by the link's pre-shared key.
    pub(crate) fn join(
        provider: &Provider,
        id: GroupId,
        seat: SeatId,
        invite: &Invite,
        welcome: &[u8],
    ) -> Result<Self, Doubt> {
        let message = MlsMessageIn::tls_deserialize_exact(welcome).map_err(|_| Doubt::FalseWelcome)?;
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { return Err(Doubt::FalseWelcome) };
        let expected = store_psk(provider, invite, id);
        let processed = ProcessedWelcome::new_from_welcome(provider, &join_config(), welcome)
            .map_err(|_| Doubt::FalseWelcome)?;
        match processed.psks() {
            [only] if *only.psk() == expected => {}
            _ => return Err(Doubt::FalseWelcome),
        }
        let staged = processed.into_staged_welcome(provider, None).map_err(|_| Doubt::FalseWelcome)?;
        let context = staged.group_context();
        let plain = context.extensions().iter().next().is_none() && context.ciphersuite() == SUITE;
        if !plain || context.group_id().as_slice() != id.as_bytes() {
            return Err(Doubt::FalseWelcome);
        }
        let group = Self { id, mls: staged.into_group(provider).map_err(|_| Doubt::FalseWelcome)? };
        let mut seats: Vec<_> = group.seats().into_values().collect();
        let members = group.mls.members().count();
        seats.sort();
        seats.dedup();
        let own = group.seats().get(&group.leaf()) == Some(&seat);
        if own && seats.len() == members { Ok(group) } else { Err(Doubt::FalseWelcome) }
    }

    pub(crate) fn id(&self) -> GroupId {
        self.id
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    pub(crate) fn leaf(&self) -> u32 {
        self.mls.own_leaf_index().u32()
    }

    /// Who sits where.
    pub(crate) fn seats(&self) -> BTreeMap<u32, SeatId> {
        self.mls
            .members()
            .filter_map(|member| Some((member.index.u32(), seat_of(member.credential.serialized_content())?)))
            .collect()
    }

    /// What a card of this leaf has to vouch for.
    pub(crate) fn seat_context(&self, room: gloaming_ids::RoomId, leaf: u32) -> Option<SeatContext> {
        let member = self.mls.member_at(LeafNodeIndex::new(leaf))?;
        let seat = seat_of(member.credential.serialized_content())?;
        Some(SeatContext { room, group: self.id, seat, key: member.signature_key })
    }

    /// Makes a commit. It counts once it turns out to be the first of its epoch: [`Group::merge_own`].
    pub(crate) fn commit(
        &mut self,
        provider: &Provider,
        signer: &SeatSigner,
        invite: &Invite,
        plan: &Plan<'_>,
    ) -> Option<Made> {
        let psk = store_psk(provider, invite, self.id);
        let psk = PreSharedKeyId::new(SUITE, provider.rand(), psk).expect("there is randomness");
        let note = Note {
            proofs: plan.add.iter().map(|candidate| candidate.proof.clone()).collect(),
            expel: plan.expel.map(|(seat, signature)| Expel { seat, signature }),
        };
        let mut aad = Vec::new();
        ciborium::into_writer(&note, &mut aad).expect("writing to memory does not fail");
        self.mls.set_aad(aad);
        let bundle = self
            .mls
            .commit_builder()
            .propose_removals(plan.remove.iter().map(|leaf| LeafNodeIndex::new(*leaf)))
            .propose_adds(plan.add.iter().map(|candidate| candidate.key_package.clone()))
            .add_proposal(Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(psk))))
            .force_self_update(true)
            .load_psks(provider.storage())
            .ok()?
            .build(provider.rand(), provider.crypto(), signer, |_| true)
            .ok()?
            .stage_commit(provider)
            .ok()?;
        let (message, welcome, _) = bundle.into_messages();
        let bytes = |message: MlsMessageOut| message.to_bytes().expect("a commit is shorter than MLS allows");
        Some(Made { message: bytes(message), welcome: welcome.map(bytes) })
    }

    /// A commit of ours was not first, or is no longer wanted.
    pub(crate) fn abandon(&mut self, provider: &Provider) {
        self.mls.clear_pending_commit(provider.storage()).expect("memory keeps it");
    }

    /// A commit of ours was first.
    pub(crate) fn merge_own(
        &mut self,
        provider: &Provider,
        invite: &mut Invite,
        expelled: Option<SeatId>,
    ) -> Change {
        let before = self.seats();
        self.mls.merge_pending_commit(provider).expect("it was staged in this epoch");
        self.changed(provider, invite, before, expelled)
    }

    /// Checks a commit of somebody else: see the top of this module.
    pub(crate) fn check(
        &mut self,
        provider: &Provider,
        invite: &Invite,
        message: &[u8],
    ) -> Result<Checked, Doubt> {
        let public = PublicCommit::parse(message).map_err(|_| Doubt::ForeignProposal)?;
        if public.group != self.id {
            return Err(Doubt::Forged);
        }
        match public.epoch.cmp(&self.epoch()) {
            std::cmp::Ordering::Less => return Err(Doubt::OldEpoch),
            std::cmp::Ordering::Greater => return Err(Doubt::MissingEpoch),
            std::cmp::Ordering::Equal => {}
        }
        if public.pre_shared_keys != 1 {
            return Err(Doubt::WithoutLink);
        }
        let message = protocol_message(message).ok_or(Doubt::Forged)?;
        let expected = store_psk(provider, invite, self.id);
        let processed = self.mls.process_message(provider, message).map_err(|error| {
            // A pre-shared key that we do not have: another link's.
            if format!("{error:?}").contains("Psk") { Doubt::WithoutLink } else { Doubt::Forged }
        })?;
        let Sender::Member(by) = *processed.sender() else { return Err(Doubt::ForeignProposal) };
        let note = processed.aad().to_vec();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Err(Doubt::ForeignProposal);
        };
        // Type and id, with its length in front; the nonce follows.
        let expected = expected.tls_serialize_detached().expect("an id is short");
        let psks: Vec<_> =
            staged.psk_proposals().map(|p| p.psk_proposal().tls_serialize_detached()).collect();
        if !matches!(&psks[..], [Ok(psk)] if psk.starts_with(&expected)) {
            return Err(Doubt::WithoutLink);
        }
        let note: Note = decode_note(&note).ok_or(Doubt::ForeignProposal)?;
        if staged.update_proposals().next().is_some()
            || staged.group_context().extensions().iter().next().is_some()
        {
            return Err(Doubt::ForeignProposal);
        }
        let added: Vec<_> = staged.add_proposals().map(|p| p.add_proposal().key_package().clone()).collect();
        if added.len() != note.proofs.len() {
            return Err(Doubt::BadJoinProof);
        }
        let mut seats: Vec<_> = self.seats().into_values().collect();
        for (package, proof) in added.iter().zip(&note.proofs) {
            let seat =
                seat_of(package.leaf_node().credential().serialized_content()).ok_or(Doubt::BadJoinProof)?;
            // One seat, one leaf: a second leaf with somebody's id would be somebody in disguise.
            if seats.contains(&seat) {
                return Err(Doubt::BadJoinProof);
            }
            seats.push(seat);
            check_proof(invite, self.id, &hash(package), proof)?;
        }
        let removed: Vec<_> =
            staged.remove_proposals().map(|p| p.remove_proposal().removed().u32()).collect();
        let expelled = match note.expel {
            None => None,
            Some(Expel { seat, signature }) => {
                let order = HostOrder::Expel { group: self.id, epoch: self.epoch(), seat };
                let alone =
                    added.is_empty() && removed.len() == 1 && self.seats().get(&removed[0]) == Some(&seat);
                if !alone || !order.verify(&invite.host, &signature) {
                    return Err(Doubt::NotTheHost);
                }
                Some(seat)
            }
        };
        Ok(Checked { staged, by: by.u32(), expelled })
    }

    /// Whether this is a commit of ours that ends this epoch.
    pub(crate) fn is_current_commit(&self, message: &[u8]) -> bool {
        PublicCommit::parse(message).is_ok_and(|commit| {
            (commit.group, commit.epoch, commit.leaf) == (self.id, self.epoch(), self.leaf())
        })
    }

    /// Goes on to the epoch that a checked commit begins.
    pub(crate) fn merge(&mut self, provider: &Provider, invite: &mut Invite, commit: Checked) -> Change {
        let before = self.seats();
        self.mls.merge_staged_commit(provider, *commit.staged).expect("it was checked in this epoch");
        self.changed(provider, invite, before, commit.expelled)
    }

    fn changed(
        &mut self,
        provider: &Provider,
        invite: &mut Invite,
        before: BTreeMap<u32, SeatId>,
        expelled: Option<SeatId>,
    ) -> Change {
        if !self.mls.is_active() {
            let out = Change { joined: Vec::new(), removed: Vec::new(), expelled, out: true };
            return out;
        }
        let after = self.seats();
        let missing = |from: &BTreeMap<u32, SeatId>, than: &BTreeMap<u32, SeatId>| -> Vec<_> {
            from.iter().filter(|(leaf, seat)| than.get(leaf) != Some(seat)).map(|(l, s)| (*l, *s)).collect()
        };
        if expelled.is_some() {
            let number = invite.number + 1;
            let context = gloaming_ids::Context::new("next-room-secret").field(self.id).number(number);
            let secret = Zeroizing::new(
                self.mls
                    .export_secret(
                        provider.crypto(),
                        "gloaming room secret",
                        context.as_bytes(),
                        SECRET_LENGTH,
                    )
                    .expect("the group is active"),
            );
            invite.number = number;
            invite.secret =
                RoomSecret::from_bytes(secret.as_slice().try_into().expect("as long as was asked for"));
            store_psk(provider, invite, self.id);
        }
        let (joined, removed) = (missing(&after, &before), missing(&before, &after));
        Change { joined, removed, expelled, out: false }
    }

    /// Seals something for everybody in the group.
    pub(crate) fn seal(&mut self, provider: &Provider, signer: &SeatSigner, message: &[u8]) -> Vec<u8> {
        let message = self.mls.create_message(provider, signer, message).expect("the group is active");
        message.to_bytes().expect("it is shorter than MLS allows")
    }

    /// Opens what another member sealed; the leaf that it came from, and what it is.
    pub(crate) fn open(&mut self, provider: &Provider, message: &[u8]) -> Result<(u32, Vec<u8>), Doubt> {
        let message = protocol_message(message).ok_or(Doubt::Unreadable)?;
        if !matches!(message, ProtocolMessage::PrivateMessage(_)) || message.is_handshake_message() {
            return Err(Doubt::ForeignProposal);
        }
        let processed = self.mls.process_message(provider, message).map_err(|_| Doubt::Unreadable)?;
        let Sender::Member(by) = *processed.sender() else { return Err(Doubt::Unreadable) };
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => Ok((by.u32(), message.into_bytes())),
            _ => Err(Doubt::ForeignProposal),
        }
    }

    /// The base of this epoch's frame keys, RFC 9605 §5.2.
    pub(crate) fn frame_base(&self, provider: &Provider) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(
            self.mls
                .export_secret(provider.crypto(), "SFrame 1.0 Base Key", b"", FRAME_BASE_LENGTH)
                .expect("the group is active"),
        )
    }

    /// The same for everybody in this epoch of this group, and for nobody else. Not a key.
    pub(crate) fn authenticator(&self) -> Vec<u8> {
        self.mls.epoch_authenticator().as_slice().to_vec()
    }
}

/// Whether somebody may be added.
pub(crate) fn check_proof(
    invite: &Invite,
    group: GroupId,
    hash: &[u8; 32],
    proof: &JoinProof,
) -> Result<(), Doubt> {
    if !invite.verify_join_proof(group, hash, &proof.proof) {
        return Err(Doubt::BadJoinProof);
    }
    if !invite.lobby {
        return Ok(());
    }
    let order = HostOrder::Admit { group, key_package_hash: hash };
    match &proof.admission {
        Some(signature) if order.verify(&invite.host, signature) => Ok(()),
        _ => Err(Doubt::NotAdmitted),
    }
}

fn protocol_message(message: &[u8]) -> Option<ProtocolMessage> {
    MlsMessageIn::tls_deserialize_exact(message).ok()?.try_into_protocol_message().ok()
}

fn decode_note(mut bytes: &[u8]) -> Option<Note> {
    let note = ciborium::from_reader(&mut bytes).ok()?;
    bytes.is_empty().then_some(note)
}

#[cfg(test)]
mod tests;
