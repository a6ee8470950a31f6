//! Whatever a server sends to a member, alone in a room or at the door of one: it stays where it is or comes in again, and
//! nobody gets in who does not have the link.

use std::time::Duration;

use gloaming_ids::{GroupId, RoomId};
use gloaming_room::{
    Codec, Config, DeviceKey, HostKey, Input, Invite, Member, Output,
    log::{ClientMessage, Entry, Resumed, ServerMessage},
};

fn member(entropy: &mut dyn FnMut(&mut [u8])) -> Member {
    let mut entropy = |out: &mut [u8]| entropy(out);
    let host = HostKey::from_seed(&[1; 32]);
    let config = Config {
        room: RoomId::from_bytes([1; 16]),
        invite: Invite::generate(host.public(), false, &mut entropy),
        device: DeviceKey::from_seed(&[2; 32]),
        host: Some(host),
        name: "fuzz".into(),
    };
    let mut member = Member::new(config, &mut entropy);
    member.handle(Input::Opened, Duration::ZERO, &mut entropy);
    member
}

/// See the module.
pub fn check(input: (bool, Vec<Vec<u8>>)) {
    let (knocking, frames) = input;
    let mut state = 1u8;
    let mut entropy = move |out: &mut [u8]| {
        for byte in out {
            state = state.wrapping_mul(5).wrapping_add(3);
            *byte = state;
        }
    };
    let mut member = member(&mut entropy);
    let seat = member.seat();
    let hello = ServerMessage::Hello {
        generation: 1,
        group: knocking.then(|| GroupId::from_bytes([3; 16])),
        epoch: 0,
        offset: 0,
        live: u64::from(knocking),
        resumed: Resumed::Fresh,
    };
    let mut now = Duration::ZERO;
    member.handle(Input::Received(&hello.encode()), now, &mut entropy);
    let mut offset = 0;
    while let Some(output) = member.poll() {
        let Output::Send(frame) = output else { continue };
        if let Ok(ClientMessage::Found { group, .. }) = ClientMessage::decode(&frame) {
            let entry = Entry::Founded { generation: 1, group, seat };
            offset += 1;
            let founded = ServerMessage::Entry { offset, prev: offset - 1, entry };
            member.handle(Input::Received(&founded.encode()), now, &mut entropy);
        }
    }
    for frame in frames {
        now += Duration::from_millis(100);
        member.handle(Input::Received(&frame), now, &mut entropy);
        // The same entry, put where the log would put it.
        if let Ok(ServerMessage::Entry { entry, .. }) = ServerMessage::decode(&frame) {
            let placed = ServerMessage::Entry { offset: offset + 1, prev: offset, entry };
            offset += 1;
            member.handle(Input::Received(&placed.encode()), now, &mut entropy);
        }
        while member.poll().is_some() {}
        if let Some(opener) = member.opener() {
            assert!(opener.open(1, Codec::Vp8, &frame).is_err());
        }
        assert!(member.seats().len() <= 1, "somebody came in without the link");
    }
    let _ = Invite::from_fragment("AQ");
}
