//! Neighbours that are answered for.

use tapweave_switch::Suppression;

use super::*;
use crate::api::{NeighborAdd, NeighborKind};

fn overlay(name: &str, vni: u32, suppression: Option<&str>) -> CreateNetwork {
    let mut request = CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(vni),
        ..with_subnets(name, &[&format!("10.{vni}.0.0/16")])
    };
    if let Some(value) = suppression {
        let option = "tapweave.suppression".to_owned();
        request.options.insert(option, value.to_owned());
    }
    request
}

fn neighbor(network: &str, address: &str) -> NeighborAdd {
    NeighborAdd {
        network: network.to_owned(),
        address: address.parse().unwrap(),
        mac: "02:aa:00:00:00:01".parse().unwrap(),
        router: true,
    }
}

#[test]
fn overlays_answer_for_neighbours_unless_told_otherwise() {
    let rig = rig();
    rig.create(network("net"));
    for request in [
        overlay("far", 42, None),
        overlay("loud", 43, Some("false")),
        overlay("quiet", 44, Some("true")),
    ] {
        rig.controller.create_network(request).unwrap();
    }
    let settings = rig.datapath.networks();
    let suppression: Vec<_> = settings.iter().map(|it| it.suppression).collect();
    let (on, off) = (Suppression::On, Suppression::Off);
    assert_eq!(suppression, [off, on, off, on]);
    for name in ["net", "loud"] {
        let refused = rig.controller.neighbor_add(&neighbor(name, "10.43.0.9"));
        let text = refused.unwrap_err().to_string();
        assert!(text.ends_with("tapweave.suppression=true"), "{text}");
    }
    let request = CreateNetwork {
        options: overlay("x", 1, Some("true")).options,
        ..network("bridge")
    };
    let refused = rig.controller.create_network(request).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "tapweave.suppression is for overlay networks only (-d overlay)"
    );
}

#[test]
fn neighbours_are_stated_shown_and_taken_back() {
    let rig = rig();
    let controller = &rig.controller;
    controller.create_network(overlay("far", 42, None)).unwrap();
    for address in ["10.42.0.9", "::ffff:10.42.0.8", "fe80::9"] {
        controller.neighbor_add(&neighbor("far", address)).unwrap();
    }
    controller
        .neighbor_add(&neighbor("far", "10.42.0.9"))
        .unwrap();
    let shown = controller.neighbors(None).unwrap();
    let addresses: Vec<_> = shown.iter().map(|it| it.address.to_string()).collect();
    assert_eq!(addresses, ["10.42.0.8", "10.42.0.9", "fe80::9"]);
    assert_eq!(
        (shown[0].kind, shown[0].router, &shown[0].port),
        (NeighborKind::Static, true, &None)
    );
    let address = shown[0].address;
    controller.neighbor_del("far", address).unwrap();
    let gone = controller.neighbor_del("far", address).unwrap_err();
    assert_eq!(
        gone.to_string(),
        "nothing was stated of 10.42.0.8 in network far"
    );
    assert_eq!(controller.neighbors(Some("far")).unwrap().len(), 2);
    controller.neighbors(Some("near")).unwrap_err();
}
