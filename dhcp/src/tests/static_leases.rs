//! Addresses that were fixed by hand for machines behind ports.

use super::*;
use crate::{ClientKey, LeaseState, Origin};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);
const ID: &[u8] = &[0, 0xca, 0xfe];

fn by_mac(client: MacAddr, address: Ipv4Addr) -> (ClientKey, Ipv4Addr) {
    (ClientKey::Mac(client), address)
}

fn with_id(mut message: v4::Message) -> v4::Message {
    let id = DhcpOption::ClientIdentifier(ID.to_vec());
    message.opts_mut().insert(id);
    message
}

#[test]
fn a_machine_has_the_address_that_was_fixed_for_its_mac_whatever_its_identifier() {
    let mut world = World::new(FIXED);
    world.server.set_static_leases([by_mac(behind(1), OURS)]);
    assert_eq!(world.acquire(behind(1)), OURS);
    let offer = world.say(&with_id(discover(behind(1)))).unwrap().unwrap();
    assert_eq!(offer.message.yiaddr(), OURS);
    let nak = world.say(&renew(behind(1), FIRST)).unwrap().unwrap();
    assert_eq!(nak.kind(), MessageType::Nak);
    let lease = world.server.leases(world.now).remove(0);
    assert_eq!(
        (lease.address, lease.origin, lease.state, lease.port),
        (OURS, Origin::Static, LeaseState::Bound, FIXED)
    );
    assert!(world.pool.taken.is_empty() && world.pool.kept.is_empty());
    assert_eq!(world.acquire(behind(2)), FIRST);
}

#[test]
fn an_identifier_comes_before_the_mac() {
    let mut world = World::new(FIXED);
    let by_id = (ClientKey::of_id(ID).unwrap(), OURS);
    let other = Ipv4Addr::new(10, 0, 0, 78);
    world
        .server
        .set_static_leases([by_id, by_mac(behind(1), other)]);
    for (message, address) in [
        (with_id(discover(behind(1))), OURS),
        (with_id(discover(behind(2))), OURS),
        (discover(behind(1)), other),
        (discover(behind(2)), FIRST),
    ] {
        let offer = world.say(&message).unwrap().unwrap();
        assert_eq!(offer.message.yiaddr(), address);
    }
}

#[test]
fn the_endpoint_of_a_port_keeps_its_own_address() {
    let mut world = World::new(ASKED);
    world.server.set_static_leases([by_mac(mac(ASKED), OURS)]);
    assert_eq!(world.acquire(mac(ASKED)), OWN);
}

#[test]
fn a_machine_that_moves_to_another_port_has_its_address_there() {
    let mut world = World::new(FIXED);
    world.server.set_static_leases([by_mac(behind(1), OURS)]);
    world.acquire(behind(1));
    world.port = ASKED;
    assert_eq!(world.acquire(behind(1)), OURS);
    let at = |world: &World| world.server.leases(world.now).first().map(|it| it.port);
    assert_eq!(at(&world), Some(ASKED));
    // What it had at the other port is nothing any more.
    let mut release = message(behind(1), MessageType::Release);
    release.set_ciaddr(OURS);
    world.port = FIXED;
    assert_eq!(world.say(&release).unwrap_err(), Refusal::NoLease);
    world.server.remove_station(FIXED);
    assert_eq!(at(&world), Some(ASKED));
    world.port = ASKED;
    assert!(world.say(&release).unwrap().is_none());
    assert_eq!(at(&world), None);
    world.acquire(behind(1));
    world.server.remove_station(ASKED);
    assert_eq!(at(&world), None);
}

#[test]
fn a_lease_of_the_pool_becomes_a_static_one_and_the_other_way_round() {
    let mut world = World::new(FIXED);
    world.acquire(behind(1));
    let origin = |world: &World| world.server.leases(world.now)[0].origin;
    world.server.set_static_leases([by_mac(behind(1), FIRST)]);
    assert_eq!(origin(&world), Origin::Static);
    let ack = world.say(&renew(behind(1), FIRST)).unwrap().unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    // The pool has it again, and the client asks for what it has.
    world.server.set_static_leases([]);
    world.pool.taken.clear();
    assert!(world.server.leases(world.now).is_empty());
    let ack = world.say(&renew(behind(1), FIRST)).unwrap().unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    assert_eq!(origin(&world), Origin::Pool);
}

#[test]
fn who_gets_a_fixed_address_gives_that_of_the_pool_back() {
    let mut world = World::new(FIXED);
    world.acquire(behind(1));
    world.server.set_static_leases([by_mac(behind(1), OURS)]);
    let nak = world.say(&renew(behind(1), FIRST)).unwrap().unwrap();
    assert_eq!(nak.kind(), MessageType::Nak);
    assert_eq!(world.acquire(behind(1)), OURS);
    assert_eq!(world.addresses(), [OURS]);
    assert!(world.pool.taken.is_empty());
}

#[test]
fn a_static_lease_ends_as_others_do_and_is_there_again_when_it_is_asked_for() {
    let mut world = World::new(FIXED);
    world.server.set_static_leases([by_mac(behind(1), OURS)]);
    world.acquire(behind(1));
    let mut decline = message(behind(1), MessageType::Decline);
    let refused = DhcpOption::RequestedIpAddress(OURS);
    decline.opts_mut().insert(refused);
    assert!(world.say(&decline).unwrap().is_none());
    assert!(world.addresses().is_empty() && world.pool.aside.is_empty());
    world.acquire(behind(1));
    world.now = world.now + HOUR;
    assert!(world.addresses().is_empty());
    world.server.expire(world.now, &mut world.pool);
    assert_eq!(world.acquire(behind(1)), OURS);
}

#[test]
fn static_leases_count_against_no_port() {
    let mut world = World::new(FIXED);
    let fixed = (1..=8).map(|number| by_mac(behind(number), Ipv4Addr::new(10, 0, 0, 70 + number)));
    world.server.set_static_leases(fixed);
    for number in 1..=8 + u8::try_from(crate::fuzzing::LEASES_OF_PORT).unwrap() {
        world.acquire(behind(number));
    }
    let refused = world.say(&discover(behind(99)));
    assert_eq!(refused.unwrap_err(), Refusal::PortLimit);
}
