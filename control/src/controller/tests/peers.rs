//! Overlay networks and their peers.

use super::*;
use crate::api::{FdbAdd, PeerAdd, PeerStateView};

fn overlay(name: &str, vni: u32) -> CreateNetwork {
    CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(vni),
        ..with_subnets(name, &[&format!("10.{vni}.0.0/16")])
    }
}

fn peer(network: &str, address: &str) -> PeerAdd {
    PeerAdd {
        network: network.to_owned(),
        address: address.parse().unwrap(),
        port: None,
    }
}

#[test]
fn an_overlay_takes_the_mtu_that_the_underlay_leaves_and_shows_its_vni() {
    let rig = rig();
    let created = rig.controller.create_network(overlay("far", 42)).unwrap();
    assert_eq!(created.driver, "overlay");
    let vni = &created.options["com.docker.network.driver.overlay.vxlanid_list"];
    assert_eq!(vni, "42");
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
        (4789, PeerStateView::Unheard)
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
