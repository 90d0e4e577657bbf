//! Leases of machines behind a port: taken, renewed, given back, over.

use super::*;
use crate::{ClientKey, KeptLease, LeaseState, Origin};

#[test]
fn a_machine_behind_a_port_gets_an_address_of_the_pool_and_keeps_it() {
    let mut world = World::new(FIXED);
    assert_eq!(world.acquire(behind(1)), FIRST);
    let lease = world.server.leases(world.now).remove(0);
    assert_eq!(
        (lease.state, lease.origin),
        (LeaseState::Bound, Origin::Pool)
    );
    assert_eq!(world.pool.kept.len(), 1);
    world.now = world.now + HOUR / 2;
    let ack = world.say(&renew(behind(1), FIRST)).unwrap().unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    let lease = world.server.leases(world.now).remove(0);
    assert_eq!(lease.remaining(world.now), HOUR);
    assert_eq!(world.pool.kept.len(), 1, "a renewal is not stored");
    assert_eq!(world.acquire(behind(1)), FIRST);
    assert_ne!(world.acquire(behind(2)), FIRST);
}

#[test]
fn an_offer_that_nobody_takes_is_over_in_a_minute() {
    let mut world = World::new(FIXED);
    let offer = world.say(&discover(behind(1))).unwrap().unwrap();
    assert_eq!(world.addresses(), [offer.message.yiaddr()]);
    assert!(world.pool.kept.is_empty());
    world.now = world.now + Duration::from_secs(61);
    world.server.expire(world.now, &mut world.pool);
    assert!(world.addresses().is_empty() && world.pool.taken.is_empty());
}

#[test]
fn an_offer_is_given_back_when_another_server_is_chosen() {
    let mut world = World::new(FIXED);
    world.say(&discover(behind(1))).unwrap().unwrap();
    let mut other = request(behind(1), FIRST);
    let server = DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 0, 0, 77));
    other.opts_mut().insert(server);
    assert_eq!(world.say(&other).unwrap_err(), Refusal::OtherServer);
    assert!(world.pool.taken.is_empty());
}

#[test]
fn a_lease_ends_when_it_is_given_back_refused_or_over() {
    let mut world = World::new(FIXED);
    world.acquire(behind(1));
    let mut release = message(behind(1), MessageType::Release);
    release.set_ciaddr(FIRST);
    assert!(world.say(&release).unwrap().is_none());
    assert!(world.pool.taken.is_empty());
    assert_eq!(world.say(&release).unwrap_err(), Refusal::NoLease);

    world.acquire(behind(1));
    let mut decline = message(behind(1), MessageType::Decline);
    let refused = DhcpOption::RequestedIpAddress(FIRST);
    decline.opts_mut().insert(refused);
    assert!(world.say(&decline).unwrap().is_none());
    assert_eq!(world.pool.aside, [FIRST]);

    world.acquire(behind(1));
    world.now = world.now + HOUR;
    world.server.expire(world.now, &mut world.pool);
    assert!(world.pool.taken.is_empty());
}

#[test]
fn a_client_that_comes_back_after_its_lease_has_its_address_if_it_is_free() {
    let mut world = World::new(FIXED);
    let address = Ipv4Addr::new(10, 0, 0, 107);
    let ack = world.say(&request(behind(1), address)).unwrap().unwrap();
    assert_eq!(
        (ack.kind(), ack.message.yiaddr()),
        (MessageType::Ack, address)
    );
    let nak = world.say(&request(behind(2), address)).unwrap().unwrap();
    assert_eq!(nak.kind(), MessageType::Nak);
}

#[test]
fn the_lease_of_another_port_cannot_be_had_by_its_identifier() {
    let mut world = World::new(FIXED);
    let with_id = |mut message: v4::Message| {
        let id = DhcpOption::ClientIdentifier(vec![0, 1, 2, 3]);
        message.opts_mut().insert(id);
        message
    };
    let offer = world.say(&with_id(discover(behind(1)))).unwrap().unwrap();
    let address = offer.message.yiaddr();
    let ack = world.say(&with_id(select(behind(1), address))).unwrap();
    assert_eq!(ack.unwrap().kind(), MessageType::Ack);
    world.port = ASKED;
    let offer = world.say(&with_id(discover(behind(1)))).unwrap().unwrap();
    assert_ne!(offer.message.yiaddr(), address);
    let nak = world.say(&with_id(renew(behind(1), address))).unwrap();
    assert_eq!(nak.unwrap().kind(), MessageType::Nak);
    let mut release = with_id(message(behind(1), MessageType::Release));
    release.set_ciaddr(address);
    assert_eq!(world.say(&release).unwrap_err(), Refusal::NoLease);
}

#[test]
fn kept_leases_are_whole_after_a_restart() {
    let mut world = World::new(FIXED);
    let kept = KeptLease {
        address: FIRST,
        client: ClientKey::Mac(behind(1)),
        mac: behind(1),
        host_name: None,
    };
    world.pool.taken.insert(FIRST);
    let station = world.server.remove_station(FIXED).unwrap();
    world.server.set_station(world.now, FIXED, station, [kept]);
    assert_eq!(world.addresses(), [FIRST]);
    let ack = world.say(&renew(behind(1), FIRST)).unwrap().unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
}

#[test]
fn a_lease_is_as_short_as_its_client_wants_it_within_reason() {
    let mut world = World::new(ASKED);
    for (wanted, given) in [
        (None, 3600),
        (Some(600), 600),
        (Some(1), 120),
        (Some(u32::MAX), 3600),
    ] {
        let mut discover = discover(mac(ASKED));
        if let Some(secs) = wanted {
            let time = DhcpOption::AddressLeaseTime(secs);
            discover.opts_mut().insert(time);
        }
        let offer = world.say(&discover).unwrap().unwrap();
        let time = |code| match offer.option(code) {
            Some(
                DhcpOption::AddressLeaseTime(secs)
                | DhcpOption::Renewal(secs)
                | DhcpOption::Rebinding(secs),
            ) => *secs,
            other => panic!("{other:?}"),
        };
        assert_eq!(time(OptionCode::AddressLeaseTime), given);
        assert_eq!(time(OptionCode::Renewal), given / 2);
        assert_eq!(time(OptionCode::Rebinding), given * 7 / 8);
    }
}
