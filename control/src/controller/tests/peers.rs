//! Overlay networks and their peers.

use super::*;
use crate::api::{FdbAdd, PeerAdd, PeerStateView};

pub(super) fn overlay(name: &str, vni: u32) -> CreateNetwork {
    CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(vni),
        ..with_subnets(name, &[&format!("10.{vni}.0.0/16")])
    }
}

pub(super) fn peer(network: &str, address: &str) -> PeerAdd {
    PeerAdd {
        network: network.to_owned(),
        address: address.parse().unwrap(),
        port: None,
        subnets: Vec::new(),
    }
}

#[test]
fn an_overlay_takes_the_mtu_that_the_underlay_leaves_and_shows_its_vni() {
    let rig = rig();
    let created = rig.controller.create_network(overlay("far", 42)).unwrap();
    assert_eq!(created.driver, "overlay");
    let vni = &created.options["com.docker.network.driver.overlay.vxlanid_list"];
    assert_eq!(vni, "42");
    let shown = rig.controller.network("far").unwrap();
    assert_eq!(shown.options, created.options);
    let place = ["encap", "encap_port", "underlay"]
        .map(|name| &*shown.options[&format!("tapweave.{name}")]);
    assert_eq!(place, ["vxlan", "4789", "192.0.2.1"]);
    assert_eq!(rig.controller.networks()[0].options, shown.options);
    let settings = rig.datapath.networks();
    assert_eq!((settings[0].mtu, settings[0].snooping), (1450, None));
    let wide = CreateNetwork {
        mtu: Some(8950),
        ..overlay("wide", 43)
    };
    rig.controller.create_network(wide).unwrap();
    assert_eq!(rig.datapath.networks()[1].mtu, 8950);
}

#[test]
fn a_network_that_cannot_join_the_overlay_leaves_nothing() {
    let rig = rig();
    rig.controller.create_network(overlay("far", 42)).unwrap();
    let twice = CreateNetwork {
        vni: Some(42),
        ..overlay("near", 44)
    };
    let refused = rig.controller.create_network(twice).unwrap_err();
    assert_eq!(refused.to_string(), "the VNI is in use");
    assert_eq!(rig.datapath.population().networks, 1);
    rig.controller.create_network(overlay("near", 44)).unwrap();
}

#[test]
fn peers_are_added_shown_and_removed_and_go_with_their_network() {
    let rig = rig();
    let controller = &rig.controller;
    rig.create(network("net"));
    controller.create_network(overlay("far", 42)).unwrap();
    let refused = controller.add_peer(&peer("net", "192.0.2.2")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "network net is no overlay: it has no peers"
    );
    for address in ["192.0.2.3", "::ffff:192.0.2.2"] {
        controller.add_peer(&peer("far", address)).unwrap();
    }
    controller.add_peer(&peer("far", "192.0.2.2")).unwrap_err();
    let peers = controller.peers(None).unwrap();
    let addresses: Vec<_> = peers.iter().map(|peer| peer.address.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.2", "192.0.2.3"]);
    assert_eq!(
        (peers[0].port, peers[0].state),
        (Some(4789), PeerStateView::Unheard)
    );
    assert!(controller.peers(Some("net")).unwrap().is_empty());

    let mac = "02:aa:00:00:00:01".parse().unwrap();
    let entry = |vtep: Option<&str>, port: Option<&str>| FdbAdd {
        network: "far".to_owned(),
        mac,
        port: port.map(str::to_owned),
        vtep: vtep.map(|vtep| vtep.parse().unwrap()),
        vlan: None,
    };
    controller.fdb_add(&entry(Some("192.0.2.2"), None)).unwrap();
    let shown = &controller.fdb(Some("far")).unwrap()[0];
    assert_eq!((&shown.port, shown.vtep), (&None, Some(peers[0].address)));
    controller
        .fdb_add(&entry(Some("192.0.2.9"), None))
        .unwrap_err();
    controller.fdb_add(&entry(None, None)).unwrap_err();
    let both = entry(Some("192.0.2.2"), Some("far/web"));
    controller.fdb_add(&both).unwrap_err();

    controller.remove_peer("far", peers[0].address).unwrap();
    controller.remove_peer("far", peers[0].address).unwrap_err();
    assert!(controller.fdb(Some("far")).unwrap().is_empty());
    controller.remove_network("far").unwrap();
    controller.create_network(overlay("far", 42)).unwrap();
    assert!(controller.peers(None).unwrap().is_empty());
}

fn routed(name: &str, encap: &str, subnet: &str) -> CreateNetwork {
    CreateNetwork {
        driver: "overlay".to_owned(),
        encap: Some(encap.to_owned()),
        ..with_subnets(name, &[subnet])
    }
}

fn peer_with(network: &str, address: &str, subnets: &[&str]) -> PeerAdd {
    PeerAdd {
        subnets: subnets.iter().map(|text| text.parse().unwrap()).collect(),
        ..peer(network, address)
    }
}

#[test]
fn each_encapsulation_leaves_its_own_mtu_and_takes_its_own_options() {
    let rig = rig();
    for (number, (encap, mtu)) in [("fou", 1472), ("gue", 1472), ("ipip", 1480)]
        .into_iter()
        .enumerate()
    {
        let request = routed(encap, encap, &format!("10.{number}.0.0/24"));
        for refused in [
            CreateNetwork {
                vni: Some(1),
                ..request.clone()
            },
            CreateNetwork {
                l2_only: true,
                subnets: Vec::new(),
                ..request.clone()
            },
            CreateNetwork {
                options: [("tapweave.open".to_owned(), "true".to_owned())].into(),
                ..request.clone()
            },
        ] {
            let error = rig.controller.create_network(refused).unwrap_err();
            let error = error.to_string();
            assert!(error.ends_with(&format!("is not for encapsulation {encap}")));
        }
        let with_port = CreateNetwork {
            encap_port: Some(7777),
            name: "port".parse().unwrap(),
            ..routed("port", encap, &format!("10.{number}.1.0/24"))
        };
        let made = rig.controller.create_network(with_port);
        assert_eq!(made.is_ok(), encap != "ipip");
        if made.is_ok() {
            rig.controller.remove_network("port").unwrap();
        }
        rig.controller.create_network(request).unwrap();
        let settings = rig.datapath.networks();
        let made = settings.last().unwrap();
        let gateway = made.gateway.as_ref().unwrap();
        assert_eq!(made.mtu, mtu);
        assert_eq!(
            gateway.mac.to_string(),
            format!("02:00:0a:{number:02x}:00:01")
        );
    }
}

#[test]
fn routed_peers_have_subnets_that_overlap_nothing() {
    let rig = rig();
    let controller = &rig.controller;
    controller.create_network(overlay("flat", 42)).unwrap();
    let request = routed("far", "fou", "10.0.0.0/24");
    controller.create_network(request).unwrap();
    rig.create(with_subnets("near", &["10.9.0.0/24"]));
    let refused = |request: &PeerAdd| controller.add_peer(request).unwrap_err().to_string();
    let none = peer("far", "192.0.2.2");
    assert!(refused(&none).contains("say by --subnet"));
    let flat = peer_with("flat", "192.0.2.2", &["10.1.0.0/24"]);
    assert!(refused(&flat).contains("are on one link"));
    for (subnets, reason) in [
        (
            &["10.0.0.128/25"][..],
            "subnet 10.0.0.128/25 overlaps 10.0.0.0/24 of network far",
        ),
        (
            &["10.0.0.0/8"],
            "subnet 10.0.0.0/8 overlaps 10.9.0.0/24 of network near",
        ),
        (
            &["10.1.0.0/24", "10.1.0.0/25"],
            "subnet 10.1.0.0/25 overlaps 10.1.0.0/24 of network far",
        ),
        (
            &["10.1.0.1/24"],
            "10.1.0.1/24 is not a subnet; should be 10.1.0.0/24",
        ),
    ] {
        let request = peer_with("far", "192.0.2.2", subnets);
        let said = refused(&request);
        // Of several that it overlaps, any is named.
        assert!(said == reason || subnets == ["10.0.0.0/8"], "{said}");
    }
    assert_eq!(rig.datapath.population().ports, 0);
    let first = peer_with("far", "192.0.2.2", &["10.1.0.0/24", "fd01::/64"]);
    controller.add_peer(&first).unwrap();
    let second = peer_with("far", "192.0.2.3", &["10.1.0.0/24"]);
    assert_eq!(
        refused(&second),
        "subnet 10.1.0.0/24 overlaps 10.1.0.0/24 of network far"
    );
    let over = with_subnets("over", &["10.1.0.0/16"]);
    let said = controller.create_network(over).unwrap_err().to_string();
    assert_eq!(
        said,
        "subnet 10.1.0.0/16 overlaps 10.1.0.0/24 of network far"
    );
    let views = controller.peers(Some("far")).unwrap();
    assert_eq!(views[0].subnets, first.subnets);
    let gone = "192.0.2.2".parse().unwrap();
    controller.remove_peer("far", gone).unwrap();
    controller.add_peer(&second).unwrap();
}

#[test]
fn a_network_with_a_group_shows_it_as_a_peer_that_goes_with_it() {
    let rig = rig();
    let controller = &rig.controller;
    let mut request = overlay("far", 42);
    let group = ("tapweave.group".to_owned(), "239.1.1.1".to_owned());
    request.options.extend([group]);
    controller.create_network(request).unwrap();
    controller.add_peer(&peer("far", "192.0.2.2")).unwrap();
    let peers = controller.peers(None).unwrap();
    let shown: Vec<_> = peers
        .iter()
        .map(|peer| (peer.address.to_string(), peer.origin.as_str()))
        .collect();
    let want = [("192.0.2.2", "static"), ("239.1.1.1", "group")];
    assert_eq!(shown, want.map(|(addr, origin)| (addr.to_owned(), origin)));
    let kept = controller.remove_peer("far", "239.1.1.1".parse().unwrap());
    assert!(kept.unwrap_err().to_string().contains("goes with it"));
    controller.remove_network("far").unwrap();
    assert_eq!(rig.datapath.population().networks, 0);
}

#[test]
fn a_group_is_for_segments_only() {
    let rig = rig();
    for (driver, encap) in [("bridge", None), ("overlay", Some("gue".to_owned()))] {
        let mut request = CreateNetwork {
            driver: driver.to_owned(),
            encap,
            ..with_subnets("far", &["10.9.0.0/24"])
        };
        let group = ("tapweave.group".to_owned(), "239.1.1.1".to_owned());
        request.options.extend([group]);
        let refused = rig.controller.create_network(request).unwrap_err();
        assert!(refused.to_string().contains("tapweave.group"), "{refused}");
    }
}
