//! Packets to and from a host across a tunnel: 10.1.0.0/24 and `fd01::/64` are there.

use tapweave_encap::{Encap, Marking, Peer, TagPolicy, Tunnel, Vtep};
use tapweave_net::Vid;

use super::fragments::cut_in_two;
use super::*;
use crate::{Isolation, RemoteConfig};

/// Makes the way to a host whose path takes packets of this size, 28 bytes less inside.
fn add_remote(rig: &Rig, path_mtu: u16) -> PortNo {
    let vtep = Vtep::new(ip("192.0.2.99"), 5555);
    let config = RemoteConfig {
        subnets: ["10.1.0.0/24", "fd01::/64"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        tunnel: Tunnel {
            encap: Encap::Fou,
            marking: Marking::default(),
            tags: TagPolicy::Refuse,
        },
        peer: Arc::new(Peer::new(vtep, path_mtu)),
    };
    rig.switch.add_remote(rig.network, config).unwrap()
}

/// From a host there; nobody looks at the MAC addresses.
fn across<'a>(dst: &'a str, src: &'a str) -> Way<'a> {
    Way {
        from: MacAddr::ZERO,
        to: MacAddr::ZERO,
        src,
        dst,
        hops: 64,
    }
}

const PAIRS: [(&str, &str); 2] = [("10.1.0.7", "10.0.0.2"), ("fd01::7", "fd00::2")];

#[test]
fn a_packet_crosses_untranslated_with_one_hop_less_even_from_an_internal_network() {
    for outside in [Outside::Masqueraded, Outside::Routed, Outside::Closed] {
        let mut rig = Rig::new(outside);
        let remote = add_remote(&rig, 1500);
        let [a, ..] = rig.ports;
        for (there, here) in PAIRS {
            let (port, sent) = rig.forward(a, &Way::out(2, there, here).udp(b"hello"));
            let want = across(there, here).with_hops(63).udp(b"hello");
            assert_eq!((port, sent), (remote, want));
            let (port, sent) = rig.forward(remote, &across(here, there).udp(b"hello"));
            let want = Way {
                from: GATEWAY,
                to: mac(2),
                ..across(here, there).with_hops(63)
            };
            assert_eq!((port, sent), (a, want.udp(b"hello")));
        }
        let stats = rig.switch.port_stats(remote).unwrap();
        assert_eq!((stats.rx_frames, stats.drops), (2, [0; DropReason::COUNT]));
    }
}

#[test]
fn nothing_is_flooded_to_a_remote_host() {
    let mut rig = Rig::new(Outside::Routed);
    let _remote = add_remote(&rig, 1500);
    let [a, b, c] = rig.ports;
    let mut frame = Way::out(2, "10.0.0.255", "10.0.0.2").udp(&[]);
    frame[..6].fill(0xff);
    let (verdict, _) = rig.handle(a, &frame);
    let Verdict::Flood(vlan) = verdict else {
        panic!("{verdict}");
    };
    let flooded: Vec<_> = rig.pipeline.flood_set(a, vlan).map(|to| to.port).collect();
    assert_eq!(flooded, [b, c]);
}

#[test]
fn a_remote_host_reaches_neither_the_outside_nor_another_network_nor_a_third_host() {
    let mut rig = Rig::new(Outside::Routed);
    let remote = add_remote(&rig, 1500);
    for dst in [
        "198.51.100.7",
        "10.9.0.2",
        "10.1.0.8",
        "10.0.0.255",
        "224.0.0.1",
    ] {
        let refused = rig.drop(remote, &across(dst, "10.1.0.7").udp(&[]));
        assert_eq!(refused, DropReason::GatewayMartian, "{dst}");
    }
    let refused = rig.drop(remote, &across("10.0.0.2", "127.0.0.1").udp(&[]));
    assert_eq!(refused, DropReason::GatewayMartian);
    // Nor does another network reach it, or the outside.
    let packet = Way {
        to: OTHER_GATEWAY,
        ..Way::out(2, "10.1.0.7", "10.9.0.2")
    };
    let (reason, _) = rig.refuse(rig.other_port, &packet.udp(&[]));
    assert_eq!(reason, DropReason::GatewayOtherNetwork);
    let uplink = rig.uplink;
    let entering = Way::back("10.1.0.7", "198.51.100.7").udp(&[]);
    assert_eq!(rig.drop(uplink, &entering), DropReason::GatewayNoRoute);
    let posing = Way::back("10.0.0.2", "10.1.0.7").udp(&[]);
    assert_eq!(rig.drop(uplink, &posing), DropReason::GatewaySource);
}

#[test]
fn the_gateway_answers_echo_and_hop_limits_to_where_they_came_from() {
    let mut rig = Rig::new(Outside::Masqueraded);
    let remote = add_remote(&rig, 1500);
    for (gateway, there, sandbox) in [
        ("10.0.0.1", "10.1.0.7", "10.0.0.2"),
        ("fd00::1", "fd01::7", "fd00::2"),
    ] {
        let (port, reply) = rig.forward(remote, &across(gateway, there).ping(7, b"echo"));
        assert_eq!(port, remote);
        let place = if ip(there).is_ipv4() { 34 } else { 54 };
        assert!(matches!(reply[place], 0 | 129));
        let (reason, _) = rig.refuse(remote, &across(gateway, there).udp(&[]));
        assert_eq!(reason, DropReason::GatewayPort);
        let last = across(sandbox, there).with_hops(1).udp(&[]);
        let (reason, message) = rig.refuse(remote, &last);
        assert_eq!(reason, DropReason::GatewayHopLimit);
        assert!(matches!(message[place], 11 | 3));
        let [a, ..] = rig.ports;
        let last = Way::out(2, there, sandbox).with_hops(1).udp(&[]);
        let (reason, _) = rig.refuse(a, &last);
        assert_eq!(reason, DropReason::GatewayHopLimit);
    }
}

#[test]
fn a_narrow_path_is_told_or_cut_for() {
    let mut rig = Rig::new(Outside::Masqueraded);
    let remote = add_remote(&rig, 1328);
    let [a, ..] = rig.ports;
    for (there, here) in PAIRS {
        let (reason, message) = rig.refuse(a, &Way::out(2, there, here).udp(&[0xa5; 1300]));
        assert_eq!(reason, DropReason::GatewayTooBig);
        let mtu = if ip(there).is_ipv4() {
            &message[40..42]
        } else {
            &message[60..62]
        };
        assert_eq!(mtu, 1300_u16.to_be_bytes());
    }
    let mut packet = Way::out(2, "10.1.0.7", "10.0.0.2").udp(&[0xa5; 1300]);
    packet[20] = 0;
    tapweave_net::Ipv4Mut::parse(&mut packet[14..])
        .unwrap()
        .fill_checksum();
    let (_, sent) = rig.handle(a, &packet);
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|(port, _)| *port == remote));
    // A later fragment has its destination like the first.
    for part in cut_in_two(&across("10.0.0.3", "10.1.0.7").udp(&[0xa5; 64]), 32) {
        assert_eq!(rig.forward(remote, &part).0, rig.ports[1]);
    }
}

#[test]
fn who_is_isolated_or_in_a_vlan_is_so_towards_remote_hosts() {
    let seven = Vid::new(7).unwrap();
    let mut rig = Rig::with(Outside::Routed, |config, number| PortConfig {
        isolation: match number {
            2 => Isolation::Isolated,
            _ => Isolation::Open,
        },
        vlans: match number {
            3 => PortVlans::Access(seven),
            _ => PortVlans::Transparent,
        },
        ..config
    });
    let remote = add_remote(&rig, 1500);
    let [a, b, c] = rig.ports;
    for (port, number, reason) in [
        (a, 2, DropReason::Isolated),
        (b, 3, DropReason::VlanNotCarried),
    ] {
        let here = format!("10.0.0.{number}");
        let out = Way::out(number, "10.1.0.7", &here).udp(&[]);
        assert_eq!(rig.drop(port, &out), reason);
        let back = across(&here, "10.1.0.7").udp(&[]);
        assert_eq!(rig.drop(remote, &back), reason);
    }
    let back = across("10.0.0.4", "10.1.0.7").udp(&[]);
    assert_eq!(rig.forward(remote, &back).0, c);
}

#[test]
fn a_network_with_a_remote_host_is_in_use_and_the_number_is_used_again() {
    let mut rig = Rig::new(Outside::Routed);
    let remote = add_remote(&rig, 1500);
    let all = rig.switch.all_port_stats();
    assert!(all.iter().any(|(port, _)| *port == remote));
    rig.switch.remove_remote(remote).unwrap();
    rig.switch.remove_remote(remote).unwrap_err();
    let [a, ..] = rig.ports;
    let (verdict, _) = rig.handle(remote, &across("10.0.0.2", "10.1.0.7").udp(&[]));
    assert_eq!(verdict, Verdict::Drop(DropReason::PortGone));
    let out = Way::out(2, "10.1.0.7", "10.0.0.2").udp(&[]);
    assert_eq!(rig.forward(a, &out).0, rig.uplink);
    rig.switch.purge_port(remote);
    assert_eq!(add_remote(&rig, 1500).index(), remote.index());
}
