//! What somebody hostile can do in MLS itself, with openmls at hand: every check of the module, broken once.
#![allow(clippy::unwrap_used, reason = "a test may")]

use openmls::prelude::CommitMessageBundle;

use super::*;
use crate::HostKey;

const ID: GroupId = GroupId::from_bytes([9; 16]);

struct Side {
    provider: Provider,
    signer: SeatSigner,
    seat: SeatId,
    invite: Invite,
    group: Option<Group>,
}

fn entropy(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut state = u64::from(seed) << 32 | 1;
    move |out: &mut [u8]| {
        for byte in out {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    }
}

fn host() -> HostKey {
    HostKey::from_seed(&[1; 32])
}

fn invite(lobby: bool) -> Invite {
    Invite { secret: RoomSecret::from_bytes([4; 32]), number: 0, host: host().public(), lobby }
}

fn side(n: u8, lobby: bool) -> Side {
    let mut entropy = entropy(n);
    Side {
        provider: Provider::new(&mut entropy),
        signer: SeatSigner::generate(&mut entropy),
        seat: SeatId::from_bytes([n; 16]),
        invite: invite(lobby),
        group: None,
    }
}

impl Side {
    fn group(&mut self) -> &mut Group {
        self.group.as_mut().unwrap()
    }

    fn candidate(&self) -> Candidate {
        let (message, hash) = key_package(&self.provider, self.seat, &self.signer);
        let proof = JoinProof { proof: self.invite.join_proof(ID, &hash), admission: None };
        let (key_package, _, _) = read_key_package(&self.provider, self.seat, &message).unwrap();
        Candidate { key_package, hash, proof, admitted: true }
    }

    fn commit(&mut self, plan: &Plan<'_>) -> Made {
        self.group.as_mut().unwrap().commit(&self.provider, &self.signer, &self.invite, plan).unwrap()
    }

    fn merge_own(&mut self, expelled: Option<SeatId>) -> Change {
        self.group.as_mut().unwrap().merge_own(&self.provider, &mut self.invite, expelled)
    }

    fn check(&mut self, message: &[u8]) -> Result<Checked, Doubt> {
        self.group.as_mut().unwrap().check(&self.provider, &self.invite, message)
    }

    fn doubt(&mut self, message: &[u8]) -> Option<Doubt> {
        self.check(message).err()
    }

    fn take(&mut self, message: &[u8]) -> Change {
        let checked = self.check(message).map_err(|doubt| format!("{doubt:?}")).unwrap();
        self.group.as_mut().unwrap().merge(&self.provider, &mut self.invite, checked)
    }

    fn join(&mut self, welcome: &[u8]) -> Result<(), Doubt> {
        self.group = Some(Group::join(&self.provider, ID, self.seat, &self.invite, welcome)?);
        Ok(())
    }

    /// A commit as openmls makes it, with none of our rules.
    fn raw(
        &mut self,
        aad: &Note,
        proposals: Vec<Proposal>,
        adds: Vec<KeyPackage>,
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut bytes = Vec::new();
        ciborium::into_writer(aad, &mut bytes).unwrap();
        let Self { provider, signer, group, .. } = self;
        let mls = &mut group.as_mut().unwrap().mls;
        mls.set_aad(bytes);
        let bundle: CommitMessageBundle = mls
            .commit_builder()
            .propose_adds(adds)
            .add_proposals(proposals)
            .force_self_update(true)
            .load_psks(provider.storage())
            .unwrap()
            .build(provider.rand(), provider.crypto(), signer, |_| true)
            .unwrap()
            .stage_commit(provider)
            .unwrap();
        let (commit, welcome, _) = bundle.into_messages();
        (commit.to_bytes().unwrap(), welcome.map(|w| w.to_bytes().unwrap()))
    }

    fn psk_of(&self, invite: &Invite) -> Proposal {
        let psk = store_psk(&self.provider, invite, ID);
        let id = PreSharedKeyId::new(SUITE, self.provider.rand(), psk).unwrap();
        Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(id)))
    }
}

/// A group of this many, all in one epoch.
fn room(seats: u8, lobby: bool) -> Vec<Side> {
    let mut all = vec![side(1, lobby)];
    let founder = &mut all[0];
    founder.group = Some(Group::found(&founder.provider, ID, founder.seat, &founder.signer, &founder.invite));
    for n in 2..=seats {
        let mut newcomer = side(n, lobby);
        let mut candidate = newcomer.candidate();
        if lobby {
            admit(&mut candidate);
        }
        let made = all[0].commit(&Plan { add: vec![&candidate], ..Plan::default() });
        all[0].merge_own(None);
        for member in &mut all[1..] {
            member.take(&made.message);
        }
        newcomer.join(&made.welcome.unwrap()).unwrap();
        all.push(newcomer);
    }
    let first = all[0].group().authenticator();
    assert!(all.iter_mut().all(|side| side.group().authenticator() == first));
    all
}

fn admit(candidate: &mut Candidate) {
    let order = HostOrder::Admit { group: ID, key_package_hash: &candidate.hash };
    candidate.proof.admission = Some(serde_bytes::ByteArray::new(host().sign(&order)));
}

#[test]
fn members_agree_on_keys_and_a_log_can_read_their_commits() {
    let mut all = room(3, false);
    let base = all[0].group.as_ref().unwrap().frame_base(&all[0].provider);
    assert!(all.iter().all(|side| side.group.as_ref().unwrap().frame_base(&side.provider) == base));
    let newcomer = side(4, false);
    let candidate = newcomer.candidate();
    let plan = Plan { add: vec![&candidate], remove: vec![1], expel: None };
    let made = all[0].commit(&plan);
    let public = PublicCommit::parse(&made.message).unwrap();
    assert_eq!((public.group, public.epoch, public.leaf, public.removed), (ID, 2, 0, vec![1]));
    assert_eq!((public.added[0].seat, public.pre_shared_keys), (newcomer.seat, 1));
    let change = all[2].take(&made.message);
    assert_eq!(change.removed, [(1, all[1].seat)]);
    assert_eq!(change.joined, [(1, newcomer.seat)], "the freed leaf, as the log reckons too");
    assert!(all[1].take(&made.message).out);
}

#[test]
fn messages_open_for_everybody_else_and_their_envelope_is_public() {
    let mut all = room(3, false);
    let Side { provider, signer, group, .. } = &mut all[1];
    let sealed = group.as_mut().unwrap().seal(provider, signer, b"hello");
    assert_eq!(gloaming_room_log::PrivateEnvelope::parse(&sealed).unwrap().epoch, 2);
    for n in [0, 2] {
        let Side { provider, group, .. } = &mut all[n];
        assert_eq!(group.as_mut().unwrap().open(provider, &sealed), Ok((1, b"hello".to_vec())));
        assert_eq!(group.as_mut().unwrap().open(provider, &sealed), Err(Doubt::Unreadable), "again");
    }
}

#[test]
fn a_commit_without_the_links_key_is_refused() {
    let mut all = room(2, false);
    let (bare, _) = all[0].raw(&Note::default(), Vec::new(), Vec::new());
    assert_eq!(all[1].doubt(&bare), Some(Doubt::WithoutLink));
}

#[test]
fn a_commit_with_another_links_key_is_refused() {
    let mut all = room(2, false);
    // Another secret under the same name; then the same secret under another.
    let forged = Invite { secret: RoomSecret::from_bytes([5; 32]), ..invite(false) };
    let psk = all[0].psk_of(&forged);
    let (commit, _) = all[0].raw(&Note::default(), vec![psk], Vec::new());
    assert_eq!(all[1].doubt(&commit), Some(Doubt::Forged));
    let Side { provider, group, .. } = &mut all[0];
    group.as_mut().unwrap().abandon(provider);
    let later = Invite { number: 1, ..invite(false) };
    let psk = all[0].psk_of(&later);
    let (commit, _) = all[0].raw(&Note::default(), vec![psk], Vec::new());
    assert_eq!(all[1].doubt(&commit), Some(Doubt::WithoutLink));
    // Even by somebody who has it.
    store_psk(&all[1].provider, &later, ID);
    assert_eq!(all[1].doubt(&commit), Some(Doubt::WithoutLink));
}

#[test]
fn external_commits_and_proposals_on_their_own_are_refused() {
    let mut all = room(3, false);
    let made = all[0].commit(&Plan::default());
    let sender = 4 + 17 + 8;
    assert_eq!(made.message[sender], 1);
    for other in [2, 3, 4] {
        let mut external = made.message.clone();
        external[sender] = other;
        assert_eq!(all[1].doubt(&external), Some(Doubt::ForeignProposal));
    }
    let Side { provider, signer, group, .. } = &mut all[0];
    let mls = &mut group.as_mut().unwrap().mls;
    mls.clear_pending_commit(provider.storage()).unwrap();
    let (proposal, _) = mls.propose_remove_member(provider, signer, LeafNodeIndex::new(2)).unwrap();
    let proposal = proposal.to_bytes().unwrap();
    assert_eq!(all[1].doubt(&proposal), Some(Doubt::ForeignProposal));
    let Side { provider, group, .. } = &mut all[1];
    assert_eq!(group.as_mut().unwrap().open(provider, &proposal), Err(Doubt::ForeignProposal));
}

#[test]
fn nobody_is_added_who_did_not_prove_to_have_the_link() {
    let mut all = room(2, false);
    let ghost = side(7, false);
    let mut candidate = ghost.candidate();
    candidate.proof.proof =
        Invite { secret: RoomSecret::from_bytes([5; 32]), ..invite(false) }.join_proof(ID, &candidate.hash);
    let made = all[0].commit(&Plan { add: vec![&candidate], ..Plan::default() });
    assert_eq!(all[1].doubt(&made.message), Some(Doubt::BadJoinProof));

    let Side { provider, group, .. } = &mut all[0];
    group.as_mut().unwrap().abandon(provider);
    let psk = all[0].psk_of(&invite(false));
    let (unproved, _) = all[0].raw(&Note::default(), vec![psk], vec![ghost.candidate().key_package]);
    assert_eq!(all[1].doubt(&unproved), Some(Doubt::BadJoinProof));
}

#[test]
fn nobody_gets_a_second_leaf_under_somebodys_seat() {
    let mut all = room(2, false);
    let mut disguised = side(7, false);
    disguised.seat = all[1].seat;
    let candidate = disguised.candidate();
    let made = all[0].commit(&Plan { add: vec![&candidate], ..Plan::default() });
    assert_eq!(all[1].doubt(&made.message), Some(Doubt::BadJoinProof));
}

#[test]
fn where_there_is_a_lobby_the_host_admits() {
    let mut all = room(2, true);
    let newcomer = side(7, true);
    let mut candidate = newcomer.candidate();
    let made = all[0].commit(&Plan { add: vec![&candidate], ..Plan::default() });
    assert_eq!(all[1].doubt(&made.message), Some(Doubt::NotAdmitted));

    // By somebody who is not the host, and for another key package.
    for (key, hash) in [(HostKey::from_seed(&[2; 32]), candidate.hash), (host(), [0; 32])] {
        let order = HostOrder::Admit { group: ID, key_package_hash: &hash };
        candidate.proof.admission = Some(serde_bytes::ByteArray::new(key.sign(&order)));
        let Side { provider, group, .. } = &mut all[0];
        group.as_mut().unwrap().abandon(provider);
        let made = all[0].commit(&Plan { add: vec![&candidate], ..Plan::default() });
        assert_eq!(all[1].doubt(&made.message), Some(Doubt::NotAdmitted));
    }
    admit(&mut candidate);
    let Side { provider, group, .. } = &mut all[0];
    group.as_mut().unwrap().abandon(provider);
    let made = all[0].commit(&Plan { add: vec![&candidate], ..Plan::default() });
    assert_eq!(all[1].doubt(&made.message), None);
}

#[test]
fn a_host_removes_somebody_and_with_them_every_old_link() {
    let mut all = room(3, false);
    let victim = all[2].seat;
    let old = invite(false);
    let order = HostOrder::Expel { group: ID, epoch: 2, seat: victim };
    let plan = Plan { expel: Some((victim, host().sign(&order))), remove: vec![2], ..Plan::default() };
    let made = all[0].commit(&plan);
    all[0].merge_own(Some(victim));
    assert_eq!(all[1].take(&made.message).expelled, Some(victim));
    assert!(all[2].take(&made.message).out);
    let secret = *all[0].invite.secret.expose();
    assert_eq!(all[1].invite.secret.expose(), &secret);
    assert_eq!(all[1].invite.number, 1);
    assert_ne!(old.secret.expose(), &secret);
    assert_eq!(
        all[2].invite.secret.expose(),
        old.secret.expose(),
        "they were never in the epoch that it comes from"
    );

    // Back with the old link: by themselves at the door, and with the help of a member.
    let mut back = side(8, false);
    let candidate = back.candidate();
    let proof = check_proof(&all[0].invite, ID, &candidate.hash, &candidate.proof);
    assert_eq!(proof, Err(Doubt::BadJoinProof));
    let made = all[0].commit(&Plan { add: vec![&candidate], ..Plan::default() });
    assert_eq!(all[1].doubt(&made.message), Some(Doubt::BadJoinProof));
    assert_eq!(back.join(&made.welcome.unwrap()), Err(Doubt::FalseWelcome));
    // With the new one they could come; it has to be given to them.
    let mut forgiven = side(9, false);
    forgiven.invite = Invite::from_fragment(&all[1].invite.to_fragment()).unwrap();
    let candidate = forgiven.candidate();
    let Side { provider, group, .. } = &mut all[0];
    group.as_mut().unwrap().abandon(provider);
    let made = all[0].commit(&Plan { add: vec![&candidate], ..Plan::default() });
    all[1].take(&made.message);
    assert_eq!(forgiven.join(&made.welcome.unwrap()), Ok(()));
}

#[test]
fn nobody_else_removes_in_the_hosts_name_and_a_hosts_removal_does_nothing_beside() {
    let mut all = room(3, false);
    let victim = all[2].seat;
    let order = HostOrder::Expel { group: ID, epoch: 2, seat: victim };
    let by_another = HostKey::from_seed(&[2; 32]).sign(&order);
    let of_another_epoch = host().sign(&HostOrder::Expel { group: ID, epoch: 1, seat: victim });
    let good = host().sign(&order);
    let newcomer = side(7, false).candidate();
    let plans = [
        Plan { expel: Some((victim, by_another)), remove: vec![2], add: vec![] },
        Plan { expel: Some((victim, of_another_epoch)), remove: vec![2], add: vec![] },
        Plan { expel: Some((victim, good)), remove: vec![2], add: vec![&newcomer] },
        Plan { expel: Some((victim, good)), remove: vec![], add: vec![] },
    ];
    for plan in plans {
        let made = all[0].commit(&plan);
        assert_eq!(all[1].doubt(&made.message), Some(Doubt::NotTheHost));
        let Side { provider, group, .. } = &mut all[0];
        group.as_mut().unwrap().abandon(provider);
    }
}

#[test]
fn commits_of_other_epochs_and_bent_ones_are_refused() {
    let mut all = room(2, false);
    let first = all[0].commit(&Plan::default());
    all[0].merge_own(None);
    let second = all[0].commit(&Plan::default());
    all[0].merge_own(None);
    assert_eq!(all[1].doubt(&second.message), Some(Doubt::MissingEpoch));
    for byte in (0..first.message.len()).step_by(41) {
        let mut bent = first.message.clone();
        bent[byte] ^= 4;
        assert!(all[1].doubt(&bent).is_some(), "byte {byte}");
    }
    all[1].take(&first.message);
    assert_eq!(all[1].doubt(&first.message), Some(Doubt::OldEpoch));
    all[1].take(&second.message);
    assert_eq!(all[0].group().authenticator(), all[1].group().authenticator());
}

#[test]
fn a_welcome_is_followed_only_into_the_group_of_the_link() {
    // A group that the server made up, without the secret: with no pre-shared key, and with one of its own.
    let fake = |psk: Option<Invite>| {
        let mut server = side(6, false);
        let founded = Group::found(&server.provider, ID, server.seat, &server.signer, &server.invite);
        server.group = Some(founded);
        let mut victim = side(7, false);
        let candidate = victim.candidate();
        let psks = psk.map(|invite| server.psk_of(&invite)).into_iter().collect();
        let note = Note { proofs: vec![candidate.proof.clone()], expel: None };
        let (_, welcome) = server.raw(&note, psks, vec![candidate.key_package]);
        victim.join(&welcome.unwrap())
    };
    assert_eq!(fake(Some(invite(false))), Ok(()), "the test itself");
    assert_eq!(fake(None), Err(Doubt::FalseWelcome));
    let other = Invite { secret: RoomSecret::from_bytes([5; 32]), ..invite(false) };
    assert_eq!(fake(Some(other)), Err(Doubt::FalseWelcome));
    assert_eq!(fake(Some(Invite { number: 1, ..invite(false) })), Err(Doubt::FalseWelcome));
    let mut lost = side(7, false);
    assert_eq!(lost.join(b"nothing"), Err(Doubt::FalseWelcome));
}

#[test]
fn what_is_kept_does_not_grow_with_epochs() {
    let mut all = room(2, false);
    let mut kept = Vec::new();
    for _ in 0..6 {
        let made = all[0].commit(&Plan::default());
        all[0].merge_own(None);
        all[1].take(&made.message);
        kept.push((all[0].provider.storage().len(), all[1].provider.storage().len()));
    }
    assert_eq!(kept[2], kept[5], "{kept:?}");
}
