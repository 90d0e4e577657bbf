//! Which subnets networks get, and which addresses endpoints get.

use tapweave_ipam::DefaultPools;

use super::*;

fn rig_with_pools(host_prefixes: &[&str], pools: &[&str]) -> Rig {
    let datapath = Arc::new(MemoryDatapath::default());
    let host = MemoryHost::new(host_prefixes.iter().map(|p| p.parse().unwrap()).collect());
    let pools = pools.iter().map(|pool| pool.parse().unwrap()).collect();
    Rig {
        controller: Controller::new(
            Arc::<MemoryDatapath>::clone(&datapath),
            Arc::new(host),
            DefaultPools::new(pools),
        ),
        datapath,
    }
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
        &["base=172.30.0.0/16,size=26", "base=fd00:1::/48,size=64"],
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
