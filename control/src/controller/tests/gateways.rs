//! Gateways: what the packet path is told of them.

use std::time::Duration;

use tapweave_net::DomainName;

use super::{network, rig, with_pid, with_subnets};
use crate::api::{Connect, CreateNetwork, Disconnect};
use crate::datapath::{DhcpSettings, GatewaySettings, Isolation, Names, WayOut};

#[test]
fn a_gateway_has_an_address_of_each_subnet_and_a_mac_that_can_be_foreseen() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/24", "fd00::/64"]));
    let expected = GatewaySettings {
        mac: "02:00:0a:00:00:01".parse().unwrap(),
        addresses: vec![
            "10.0.0.1/24".parse().unwrap(),
            "fd00::1/64".parse().unwrap(),
        ],
        way_out: WayOut::Masquerade,
        names: Names::Answered,
        search: DomainName::new("net"),
        dhcp: Some(DhcpSettings {
            lease_time: Duration::from_hours(1),
            leases_of_port: 64,
        }),
    };
    assert_eq!(rig.datapath.networks()[0].gateway, Some(expected));
    let like_the_gateway = Connect {
        mac: Some("02:00:0a:00:00:01".parse().unwrap()),
        ..with_pid("a", 1)
    };
    assert_eq!(
        rig.refusal("net", like_the_gateway),
        "02:00:0a:00:00:01 is in use by the gateway"
    );
}

#[test]
fn a_network_without_addresses_has_no_gateway() {
    let rig = rig();
    rig.create(CreateNetwork {
        l2_only: true,
        ..network("net")
    });
    assert_eq!(rig.datapath.networks()[0].gateway, None);
}

#[test]
fn the_network_with_the_highest_priority_gives_the_default_routes_then_the_first() {
    let rig = rig();
    for net in ["first", "second", "third"] {
        rig.create(network(net));
    }
    rig.controller.connect("first", with_pid("a", 1)).unwrap();
    rig.controller.connect("second", Connect::new("a")).unwrap();
    let preferred = Connect {
        gw_priority: 1.try_into().unwrap(),
        ..Connect::new("a")
    };
    let endpoint = rig.controller.connect("third", preferred).unwrap();
    assert_eq!(i64::from(endpoint.gw_priority), 1);
    let metrics = || -> Vec<u32> {
        let interfaces = rig.datapath.interfaces();
        let metrics = interfaces.iter().map(|interface| interface.route_metric);
        metrics.collect()
    };
    assert_eq!(metrics(), [512, 513, 496]);
    // Who comes back comes last.
    let away = Disconnect {
        sandbox: "a".to_owned(),
        force: false,
    };
    rig.controller.disconnect("first", &away).unwrap();
    rig.controller.connect("first", Connect::new("a")).unwrap();
    assert_eq!(metrics().last(), Some(&514));
    // Another sandbox has routes of its own.
    rig.controller.connect("first", with_pid("b", 2)).unwrap();
    assert_eq!(metrics().last(), Some(&512));
}

#[test]
fn the_options_of_a_network_reach_its_gateway() {
    let rig = rig();
    rig.create(CreateNetwork {
        internal: true,
        icc: Some(false),
        ..network("internal")
    });
    rig.create(CreateNetwork {
        masquerade: Some(false),
        ..network("routed")
    });
    rig.controller
        .connect("internal", with_pid("a", 1))
        .unwrap();
    rig.controller.connect("routed", with_pid("b", 2)).unwrap();
    let interfaces = rig.datapath.interfaces();
    assert!(interfaces[0].default_gateways.is_empty());
    assert_eq!(interfaces[1].default_gateways.len(), 1);
    let networks = rig.datapath.networks();
    let way_out = |n: usize| networks[n].gateway.as_ref().unwrap().way_out;
    assert_eq!(
        (way_out(0), networks[0].isolation),
        (WayOut::None, Isolation::Isolated)
    );
    assert_eq!(
        (way_out(1), networks[1].isolation),
        (WayOut::Routed, Isolation::Open)
    );
}
