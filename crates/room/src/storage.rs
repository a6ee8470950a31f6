//! What openmls asks back for while a group lives: key pairs of leaves and path nodes, key packages waiting for a Welcome,
//! and pre-shared keys. In memory, and wiped when dropped.
//!
//! Group state is never stored at all, neither on disk nor here: a member that reloads is a new leaf. So every other
//! question of openmls' storage trait is answered with nothing, and openmls never asks them of a group that it has open.

use std::{collections::BTreeMap, sync::Mutex};

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

/// What was stored did not read back, which would be a fault of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was kept in memory did not read back")]
pub(crate) struct Lost;

#[derive(Default)]
pub(crate) struct Storage(Mutex<Kept>);

type Kept = BTreeMap<(Kind, Vec<u8>), Zeroizing<Vec<u8>>>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    KeyPair,
    EpochKeyPairs,
    KeyPackage,
    Psk,
}

const UNPOISONED: &str = "nothing panics while it stores";

impl Storage {
    fn put(&self, kind: Kind, key: &impl Serialize, value: &(impl Serialize + ?Sized)) -> Result<(), Lost> {
        // Twice: first to know how long it is, so that the buffer does not move and leave a copy behind.
        let mut length = Count(0);
        ciborium::into_writer(value, &mut length).map_err(|_| Lost)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
        ciborium::into_writer(value, &mut *bytes).map_err(|_| Lost)?;
        self.0.lock().expect(UNPOISONED).insert((kind, encode(key)?), bytes);
        Ok(())
    }

    fn get<T: DeserializeOwned>(&self, kind: Kind, key: &impl Serialize) -> Result<Option<T>, Lost> {
        let map = self.0.lock().expect(UNPOISONED);
        let Some(bytes) = map.get(&(kind, encode(key)?)) else { return Ok(None) };
        ciborium::from_reader(bytes.as_slice()).map(Some).map_err(|_| Lost)
    }

    fn delete(&self, kind: Kind, key: &impl Serialize) -> Result<(), Lost> {
        self.0.lock().expect(UNPOISONED).remove(&(kind, encode(key)?));
        Ok(())
    }

    /// How many secrets are kept: it must not grow with time.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect(UNPOISONED).len()
    }
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn encode(key: &impl Serialize) -> Result<Vec<u8>, Lost> {
    let mut bytes = Vec::new();
    ciborium::into_writer(key, &mut bytes).map_err(|_| Lost)?;
    Ok(bytes)
}

impl StorageProvider<CURRENT_VERSION> for Storage {
    type Error = Lost;

    // What is asked back for.

    fn write_encryption_key_pair<
        K: traits::EncryptionKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        public_key: &K,
        key_pair: &V,
    ) -> Result<(), Lost> {
        self.put(Kind::KeyPair, public_key, key_pair)
    }

    fn encryption_key_pair<
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
        K: traits::EncryptionKey<CURRENT_VERSION>,
    >(
        &self,
        public_key: &K,
    ) -> Result<Option<V>, Lost> {
        self.get(Kind::KeyPair, public_key)
    }

    fn delete_encryption_key_pair<K: traits::EncryptionKey<CURRENT_VERSION>>(
        &self,
        public_key: &K,
    ) -> Result<(), Lost> {
        self.delete(Kind::KeyPair, public_key)
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
        epoch: &E,
        leaf_index: u32,
        key_pairs: &[V],
    ) -> Result<(), Lost> {
        self.put(Kind::EpochKeyPairs, &(group_id, epoch, leaf_index), key_pairs)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<Vec<V>, Lost> {
        Ok(self.get(Kind::EpochKeyPairs, &(group_id, epoch, leaf_index))?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<(), Lost> {
        self.delete(Kind::EpochKeyPairs, &(group_id, epoch, leaf_index))
    }

    fn write_key_package<
        H: traits::HashReference<CURRENT_VERSION>,
        V: traits::KeyPackage<CURRENT_VERSION>,
    >(
        &self,
        hash_ref: &H,
        key_package: &V,
    ) -> Result<(), Lost> {
        self.put(Kind::KeyPackage, hash_ref, key_package)
    }

    fn key_package<H: traits::HashReference<CURRENT_VERSION>, V: traits::KeyPackage<CURRENT_VERSION>>(
        &self,
        hash_ref: &H,
    ) -> Result<Option<V>, Lost> {
        self.get(Kind::KeyPackage, hash_ref)
    }

    fn delete_key_package<H: traits::HashReference<CURRENT_VERSION>>(
        &self,
        hash_ref: &H,
    ) -> Result<(), Lost> {
        self.delete(Kind::KeyPackage, hash_ref)
    }

    fn write_psk<K: traits::PskId<CURRENT_VERSION>, V: traits::PskBundle<CURRENT_VERSION>>(
        &self,
        psk_id: &K,
        psk: &V,
    ) -> Result<(), Lost> {
        self.put(Kind::Psk, psk_id, psk)
    }

    fn psk<V: traits::PskBundle<CURRENT_VERSION>, K: traits::PskId<CURRENT_VERSION>>(
        &self,
        psk_id: &K,
    ) -> Result<Option<V>, Lost> {
        self.get(Kind::Psk, psk_id)
    }

    fn delete_psk<K: traits::PskId<CURRENT_VERSION>>(&self, psk_id: &K) -> Result<(), Lost> {
        self.delete(Kind::Psk, psk_id)
    }

    // What is not: see the top of this module.

    fn write_mls_join_config<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        MlsGroupJoinConfig: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _config: &MlsGroupJoinConfig,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn append_own_leaf_node<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNode: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _leaf_node: &LeafNode,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn queue_proposal<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _proposal_ref: &ProposalRef,
        _proposal: &QueuedProposal,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_tree<GroupId: traits::GroupId<CURRENT_VERSION>, TreeSync: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
        _tree: &TreeSync,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_interim_transcript_hash<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        InterimTranscriptHash: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _interim_transcript_hash: &InterimTranscriptHash,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_context<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        GroupContext: traits::GroupContext<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _group_context: &GroupContext,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_confirmation_tag<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ConfirmationTag: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _confirmation_tag: &ConfirmationTag,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_group_state<
        GroupState: traits::GroupState<CURRENT_VERSION>,
        GroupId: traits::GroupId<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _group_state: &GroupState,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_message_secrets<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        MessageSecrets: traits::MessageSecrets<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _message_secrets: &MessageSecrets,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_resumption_psk_store<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ResumptionPskStore: traits::ResumptionPskStore<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _resumption_psk_store: &ResumptionPskStore,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_own_leaf_index<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNodeIndex: traits::LeafNodeIndex<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _own_leaf_index: &LeafNodeIndex,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_group_epoch_secrets<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        GroupEpochSecrets: traits::GroupEpochSecrets<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _group_epoch_secrets: &GroupEpochSecrets,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn write_signature_key_pair<
        SignaturePublicKey: traits::SignaturePublicKey<CURRENT_VERSION>,
        SignatureKeyPair: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        _public_key: &SignaturePublicKey,
        _signature_key_pair: &SignatureKeyPair,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn mls_group_join_config<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        MlsGroupJoinConfig: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<MlsGroupJoinConfig>, Lost> {
        Ok(None)
    }

    fn own_leaf_nodes<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNode: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Vec<LeafNode>, Lost> {
        Ok(Vec::new())
    }

    fn queued_proposal_refs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Vec<ProposalRef>, Lost> {
        Ok(Vec::new())
    }

    fn queued_proposals<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, Lost> {
        Ok(Vec::new())
    }

    fn tree<GroupId: traits::GroupId<CURRENT_VERSION>, TreeSync: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<TreeSync>, Lost> {
        Ok(None)
    }

    fn group_context<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        GroupContext: traits::GroupContext<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<GroupContext>, Lost> {
        Ok(None)
    }

    fn interim_transcript_hash<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        InterimTranscriptHash: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<InterimTranscriptHash>, Lost> {
        Ok(None)
    }

    fn confirmation_tag<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ConfirmationTag: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<ConfirmationTag>, Lost> {
        Ok(None)
    }

    fn group_state<
        GroupState: traits::GroupState<CURRENT_VERSION>,
        GroupId: traits::GroupId<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<GroupState>, Lost> {
        Ok(None)
    }

    fn message_secrets<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        MessageSecrets: traits::MessageSecrets<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<MessageSecrets>, Lost> {
        Ok(None)
    }

    fn resumption_psk_store<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ResumptionPskStore: traits::ResumptionPskStore<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<ResumptionPskStore>, Lost> {
        Ok(None)
    }

    fn own_leaf_index<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNodeIndex: traits::LeafNodeIndex<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<LeafNodeIndex>, Lost> {
        Ok(None)
    }

    fn group_epoch_secrets<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        GroupEpochSecrets: traits::GroupEpochSecrets<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<Option<GroupEpochSecrets>, Lost> {
        Ok(None)
    }

    fn signature_key_pair<
        SignaturePublicKey: traits::SignaturePublicKey<CURRENT_VERSION>,
        SignatureKeyPair: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        _public_key: &SignaturePublicKey,
    ) -> Result<Option<SignatureKeyPair>, Lost> {
        Ok(None)
    }

    fn remove_proposal<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
        _proposal_ref: &ProposalRef,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_own_leaf_nodes<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_group_config<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_tree<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_confirmation_tag<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_group_state<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_context<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_interim_transcript_hash<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_message_secrets<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_all_resumption_psk_secrets<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_own_leaf_index<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_group_epoch_secrets<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn clear_proposal_queue<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &GroupId,
    ) -> Result<(), Lost> {
        Ok(())
    }

    fn delete_signature_key_pair<SignaturePublicKey: traits::SignaturePublicKey<CURRENT_VERSION>>(
        &self,
        _public_key: &SignaturePublicKey,
    ) -> Result<(), Lost> {
        Ok(())
    }
}
