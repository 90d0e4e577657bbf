//! Messages that nobody should send.

use proptest::prelude::*;

use super::*;
use crate::fuzzing::{LEASES_OF_PORT, check};

#[test]
fn a_message_is_refused_wherever_it_is_cut() {
    let mut message = select(mac(ASKED), OWN);
    let name = DhcpOption::Hostname("vm".to_owned());
    message.opts_mut().insert(name);
    let bytes = message.to_vec().unwrap();
    let mut world = World::new(ASKED);
    for len in 0..bytes.len() - 1 {
        let cut = world.say_bytes(mac(ASKED), &bytes[..len]);
        let is_early = matches!(cut, Err(Refusal::Malformed | Refusal::Unsupported));
        // What is cut between two options has its end without saying so.
        let is_whole = matches!(&cut, Ok(Some(_)) | Err(Refusal::OtherServer));
        assert!(is_early || (is_whole && len > 240), "{len}: {cut:?}");
    }
}

#[test]
fn what_no_client_of_this_network_says_is_refused_by_its_reason() {
    let mut world = World::new(ASKED);
    let bytes = discover(mac(ASKED)).to_vec().unwrap();
    let mut refusal = |at: usize, value: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        world.say_bytes(mac(ASKED), &bytes).unwrap_err()
    };
    for (what, at, value, want) in [
        ("a reply", 0, &[2][..], Refusal::Malformed),
        ("another medium", 1, &[6], Refusal::Malformed),
        ("a long address", 2, &[255], Refusal::Malformed),
        ("a relay", 24, &[10, 0, 0, 9], Refusal::Relayed),
        ("another station", 28, &[2, 9], Refusal::ForeignMac),
        ("a group", 28, &[1], Refusal::Malformed),
        ("no cookie", 236, &[0], Refusal::Unsupported),
        ("an offer", 242, &[2], Refusal::Unsupported),
        ("a longer type", 241, &[2], Refusal::Malformed),
    ] {
        assert_eq!(refusal(at, value), want, "{what}");
    }
    world.port = PortNo::new(9, 0);
    let unknown = world.say(&discover(mac(ASKED))).unwrap_err();
    assert_eq!(unknown, Refusal::UnknownPort);
}

#[test]
fn a_flood_of_clients_gets_what_one_port_may_have() {
    let mut world = World::new(FIXED);
    for number in 0..=255 {
        let outcome = world.say(&discover(behind(number)));
        if usize::from(number) >= LEASES_OF_PORT {
            assert_eq!(outcome.unwrap_err(), Refusal::PortLimit);
        }
    }
    assert_eq!(world.pool.taken.len(), LEASES_OF_PORT);
    world.port = ASKED;
    world.acquire(behind(1));
    assert_eq!(world.acquire(mac(ASKED)), OWN);
}

#[test]
fn options_are_continued_and_overloaded_fields_are_read() {
    let mut world = World::new(ASKED);
    let mut bytes = discover(mac(ASKED)).to_vec().unwrap();
    bytes.truncate(240);
    // The type stands in `sname`, the second half of the requested address in `file`.
    bytes.extend([52, 1, 3, 50, 2, 10, 0, 255]);
    bytes[44..48].copy_from_slice(&[53, 1, 3, 255]);
    bytes[108..113].copy_from_slice(&[50, 2, 0, 11, 255]);
    let ack = world.say_bytes(mac(ASKED), &bytes).unwrap().unwrap();
    assert_eq!((ack.kind(), ack.message.yiaddr()), (MessageType::Ack, OWN));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_octets_are_answered_or_refused(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
        check(&data);
    }

    #[test]
    fn any_options_are_answered_or_refused(
        messages in proptest::collection::vec(
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..80)), 1..8
        )
    ) {
        let mut header = discover(behind(1)).to_vec().unwrap();
        header.truncate(240);
        let mut data = Vec::new();
        for (with, options) in messages {
            let kind = [53, 1, [1, 3, 4, 7, 8][usize::from(with) % 5]];
            let message = [&header[..], &kind, &options].concat();
            data.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
            data.push(with);
            data.extend(message);
        }
        check(&data);
    }

    #[test]
    fn no_order_of_messages_gives_one_address_to_two(
        steps in proptest::collection::vec((0..5_u8, 0..6_u8, 0..24_u8, any::<bool>(), 0..900_u64), 1..120)
    ) {
        let mut world = World::new(ASKED);
        for (what, who, which, is_fixed, pause) in steps {
            world.port = if is_fixed { FIXED } else { ASKED };
            world.now = world.now + Duration::from_secs(pause);
            let (client, address) = (behind(who), Ipv4Addr::new(10, 0, 0, 98 + which));
            let message = match what {
                0 => discover(client),
                1 => select(client, address),
                2 => renew(client, address),
                3 => {
                    let mut release = message(client, MessageType::Release);
                    release.set_ciaddr(address);
                    release
                }
                _ => {
                    let mut decline = request(client, address);
                    let kind = DhcpOption::MessageType(MessageType::Decline);
                    decline.opts_mut().insert(kind);
                    decline
                }
            };
            let _outcome = world.say(&message);
            world.server.expire(world.now, &mut world.pool);
            let mut leased = world.addresses();
            leased.sort();
            let taken: Vec<_> = world.pool.taken.iter().copied().collect();
            prop_assert_eq!(leased, taken);
        }
    }
}
