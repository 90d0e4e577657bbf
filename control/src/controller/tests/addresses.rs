//! Which subnets networks get, and which addresses endpoints get.

use std::net::IpAddr;

use tapweave_ipam::DefaultPools;
use tapweave_net::MacAddr;

use super::*;

fn pools(pools: &[&str]) -> DefaultPools {
    DefaultPools::new(pools.iter().map(|pool| pool.parse().unwrap()).collect())
}

/// Makes a network and returns its subnets.
fn subnets(rig: &Rig, request: CreateNetwork) -> Vec<String> {
    let made = rig.controller.create_network(request).unwrap();
    let configs = made.ipam.config.iter();
    configs.map(|config| config.subnet.to_string()).collect()
}

#[test]
fn networks_get_their_subnets_from_the_pools_of_the_daemon() {
    let rig = rig_with_pools(
        &["172.30.0.0/28", "fd00:1:0:1::/64"],
        pools(&["base=172.30.0.0/16,size=26", "base=fd00:1::/48,size=64"]),
    );
    assert_eq!(subnets(&rig, network("v4")), ["172.30.0.64/26"]);
    let dual = |name| CreateNetwork {
        ipv6: true,
        ..network(name)
    };
    assert_eq!(
        subnets(&rig, dual("one")),
        ["172.30.0.128/26", "fd00:1::/64"]
    );
    assert_eq!(
        subnets(&rig, dual("two")),
        ["172.30.0.192/26", "fd00:1:0:2::/64"]
    );
}

#[test]
fn a_subnet_of_any_size_is_chosen_and_one_asked_for_in_the_same_breath_is_avoided() {
    let rig = rig();
    let request = with_subnets(
        "sized",
        &["0.0.0.0/20", "10.192.0.0/20", "0.0.0.0/28", "::/80"],
    );
    let error = rig.controller.create_network(request).unwrap_err();
    assert!(
        error.to_string().starts_with("no IPv6 /80 is free"),
        "{error}"
    );
    let request = with_subnets("sized", &["0.0.0.0/20", "10.192.0.0/20", "0.0.0.0/28"]);
    assert_eq!(
        subnets(&rig, request),
        ["10.192.16.0/20", "10.192.0.0/20", "10.192.32.0/28"]
    );
}

#[test]
fn a_subnet_known_by_its_size_only_is_refused_where_its_addresses_have_to_be_known() {
    let rig = rig();
    let mut request = with_subnets("sized", &["0.0.0.0/24"]);
    request.subnets[0].gateway = Some("10.0.0.1".parse().unwrap());
    let error = rig
        .controller
        .create_network(request)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("0.0.0.0/24 asks for any subnet"),
        "{error}"
    );
    let overlay = CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(7),
        ..with_subnets("overlay", &["0.0.0.0/24"])
    };
    let error = rig.controller.create_network(overlay).unwrap_err();
    assert!(
        matches!(error, ControlError::SubnetMustBeKnown { .. }),
        "{error}"
    );
}

#[test]
fn a_sandbox_that_comes_back_has_its_addresses_and_its_mac_again() {
    let rig = rig();
    rig.create(CreateNetwork {
        ipv6: true,
        ..network("net")
    });
    let web = rig.controller.connect("net", with_pid("web", 1)).unwrap();
    rig.controller.connect("net", with_pid("db", 2)).unwrap();
    rig.controller.remove_sandbox("web").unwrap();
    let stranger = rig.controller.connect("net", with_pid("other", 3)).unwrap();
    assert_ne!(stranger.addresses, web.addresses);
    let back = rig.controller.connect("net", with_pid("web", 4)).unwrap();
    assert_eq!((back.addresses, back.mac), (web.addresses, web.mac));
}

#[test]
fn of_several_subnets_the_first_with_an_address_that_nobody_had_is_used() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.1.0.0/30", "10.2.0.0/30"]));
    let connect = |name: &str, pid| {
        let endpoint = rig.controller.connect("net", with_pid(name, pid)).unwrap();
        endpoint.addresses[0].to_string()
    };
    assert_eq!(connect("a", 1), "10.1.0.2/30");
    rig.controller.remove_sandbox("a").unwrap();
    assert_eq!(connect("b", 2), "10.2.0.2/30");
    assert_eq!(connect("c", 3), "10.1.0.2/30");
    assert_eq!(
        rig.refusal("net", with_pid("d", 4)),
        "network net has no such address to give: no address is free in 10.1.0.0/30, 10.2.0.0/30"
    );
}

fn station(last: u8) -> MacAddr {
    MacAddr::new([0x52, 0x54, 0, 0, 0, last])
}

#[test]
fn an_address_that_a_stranger_has_is_passed_over_and_tried_again_last() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.1.0.0/29", "fd00::/64"]));
    rig.datapath.hold("10.1.0.2".parse().unwrap(), station(1));
    rig.datapath.hold("10.1.0.3".parse().unwrap(), station(2));
    rig.datapath.hold("fd00::2".parse().unwrap(), station(1));
    let web = rig.controller.connect("net", with_pid("web", 1)).unwrap();
    let given: Vec<_> = web.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(given, ["10.1.0.4/29", "fd00::3/64"]);
    assert_eq!(rig.datapath.probe_count(), 4);
    rig.controller.connect("net", with_pid("db", 2)).unwrap();
    rig.controller.connect("net", with_pid("mail", 3)).unwrap();
    assert_eq!(
        rig.refusal("net", with_pid("one-more", 4)),
        "network net has no address to give: 2 were tried and are in use by stations that are no endpoints, the last, 10.1.0.2, by 52:54:00:00:00:01; keep addresses for sandboxes by --ip-range"
    );
    // Nothing is left of the attempt.
    rig.controller.sandbox("one-more").unwrap_err();
    rig.controller.remove_sandbox("db").unwrap();
    rig.controller
        .connect("net", with_pid("one-more", 4))
        .unwrap();
}

#[test]
fn an_address_that_was_asked_for_and_that_a_stranger_has_is_refused_with_the_holder() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.1.0.0/24"]));
    let address: IpAddr = "10.1.0.9".parse().unwrap();
    rig.datapath.hold(address, station(9));
    let request = || Connect {
        ip: Some("10.1.0.9".parse().unwrap()),
        ..with_pid("web", 1)
    };
    let error = rig.controller.connect("net", request()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "10.1.0.9 is in use in network net by 52:54:00:00:00:09, which is no endpoint"
    );
    // On request nobody is asked.
    let mut blind = with_subnets("blind", &["10.2.0.0/24"]);
    blind
        .options
        .insert("tapweave.dad".to_owned(), "false".to_owned());
    rig.create(blind);
    let before = rig.datapath.probe_count();
    rig.controller.connect("blind", with_pid("web", 1)).unwrap();
    assert_eq!(rig.datapath.probe_count(), before);
}

#[test]
fn a_sandbox_whose_address_was_taken_by_a_stranger_meanwhile_gets_another() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.1.0.0/24"]));
    let first = rig.controller.connect("net", with_pid("web", 1)).unwrap();
    rig.disconnect("net", "web");
    rig.datapath.hold(first.addresses[0].addr(), station(1));
    let second = rig.controller.connect("net", Connect::new("web")).unwrap();
    assert_eq!(second.addresses[0].to_string(), "10.1.0.3/24");
    // The old one is not its own any more.
    rig.disconnect("net", "web");
    let third = rig.controller.connect("net", Connect::new("web")).unwrap();
    assert_eq!(third.addresses, second.addresses);
}
