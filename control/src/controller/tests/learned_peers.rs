//! Peers of open networks.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tapweave_net::NetworkNo;

use super::*;
use crate::Host;
use crate::api::{PeerAdd, PeerOrigin};
use crate::controller::learned_peers::LEARNED_MAX;

fn rig_with_open_network() -> Rig {
    rig_with_open_network_on(Arc::new(host()))
}

fn rig_with_open_network_on(host: Arc<MemoryHost>) -> Rig {
    let datapath = Arc::new(MemoryDatapath::default());
    let packet_path = Arc::<MemoryDatapath>::clone(&datapath);
    let rig = Rig {
        controller: Controller::new(packet_path, host, DefaultPools::default()),
        datapath,
    };
    let mut request = CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(42),
        ..with_subnets("far", &["10.42.0.0/16"])
    };
    let option = "tapweave.open".to_owned();
    request.options.insert(option, "true".to_owned());
    rig.controller.create_network(request).unwrap();
    rig
}

fn address(number: usize) -> IpAddr {
    let [.., high, low] = number.to_be_bytes();
    Ipv4Addr::new(192, 0, high, low).into()
}

/// Lets hosts send into the first network.
fn send(rig: &Rig, hosts: impl IntoIterator<Item = usize>) {
    let senders = hosts.into_iter().map(|host| (NetworkNo(1), address(host)));
    rig.datapath.send_as_strangers(senders.collect());
    rig.controller.tend_peers();
}

/// Returns the peers by their addresses, and how they came.
fn peers(rig: &Rig) -> Vec<(IpAddr, PeerOrigin)> {
    let peers = rig.controller.peers(None).unwrap();
    peers.iter().map(|it| (it.address, it.origin)).collect()
}

#[test]
fn strangers_become_peers_of_open_networks_until_they_are_silent() {
    let rig = rig_with_open_network();
    send(&rig, [2, 3]);
    let learned = PeerOrigin::Learned;
    assert_eq!(peers(&rig), [(address(2), learned), (address(3), learned)]);
    rig.datapath.silence(address(2), Duration::from_secs(299));
    rig.datapath.silence(address(3), Duration::from_mins(5));
    rig.controller.tend_peers();
    assert_eq!(peers(&rig), [(address(2), learned)]);
    rig.controller.remove_peer("far", address(2)).unwrap();
    rig.controller.remove_network("far").unwrap();
}

#[test]
fn a_time_of_day_that_jumps_neither_forgets_peers_nor_keeps_them() {
    let host = Arc::new(host());
    let rig = rig_with_open_network_on(Arc::<MemoryHost>::clone(&host));
    let year = Duration::from_hours(365 * 24);
    // Nothing has come from it since the first datagram, so that its age is that of its port.
    send(&rig, [2]);
    let now = host.unix_time();
    let earlier = now.saturating_sub(year);
    for time in [now + year, earlier, now] {
        host.set_unix_time(time);
        rig.controller.tend_peers();
        assert_eq!(peers(&rig).len(), 1, "at {time:?}");
    }
    host.set_unix_time(earlier);
    host.pass(Duration::from_secs(299));
    rig.controller.tend_peers();
    assert_eq!(peers(&rig).len(), 1);
    host.pass(Duration::from_secs(1));
    rig.controller.tend_peers();
    assert_eq!(peers(&rig), []);
}

#[test]
fn who_is_asked_for_stays() {
    let rig = rig_with_open_network();
    send(&rig, [2]);
    let request = PeerAdd {
        network: "far".to_owned(),
        address: address(2),
        port: Some(8472),
        subnets: Vec::new(),
    };
    rig.controller.add_peer(&request).unwrap();
    rig.datapath.silence(address(2), Duration::from_hours(1));
    send(&rig, [2]);
    assert_eq!(peers(&rig), [(address(2), PeerOrigin::Static)]);
    assert_eq!(rig.controller.peers(None).unwrap()[0].port, Some(8472));
    rig.controller.add_peer(&request).unwrap_err();
}

#[test]
fn networks_learn_a_bounded_number_and_closed_ones_nobody() {
    let rig = rig_with_open_network();
    send(&rig, 0..LEARNED_MAX + 5);
    assert_eq!(peers(&rig).len(), LEARNED_MAX);
    let closed = CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(43),
        ..with_subnets("closed", &["10.43.0.0/16"])
    };
    rig.controller.create_network(closed).unwrap();
    let stranger = (NetworkNo(2), address(2));
    rig.datapath.send_as_strangers(vec![stranger]);
    rig.controller.tend_peers();
    assert!(rig.controller.peers(Some("closed")).unwrap().is_empty());
}
