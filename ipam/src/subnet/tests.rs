//! Tests of one subnet by example.

use std::collections::BTreeMap;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn subnet(text: &str) -> Subnet {
    Subnet::new(net(text).into()).unwrap()
}

#[test]
fn the_gateway_is_the_first_usable_address_and_the_first_lease_the_next() {
    let mut v4 = subnet("10.0.0.0/24");
    assert_eq!(v4.gateway(), ip("10.0.0.1"));
    assert_eq!(v4.lease_next("a"), Some(ip("10.0.0.2")));
    let mut v6 = subnet("fd00::/64");
    assert_eq!(v6.gateway(), ip("fd00::1"));
    assert_eq!(v6.lease_next("a"), Some(ip("fd00::2")));
}

#[test]
fn the_range_limits_what_is_chosen_but_not_what_is_asked_for() {
    let mut subnet = Subnet::new(SubnetSpec {
        ip_range: Some(net("10.0.0.8/30")),
        ..net("10.0.0.0/24").into()
    })
    .unwrap();
    let given: Vec<_> = (0..4).filter_map(|_| subnet.lease_next("a")).collect();
    assert_eq!(given, [8, 9, 10, 11].map(|n| ip(&format!("10.0.0.{n}"))));
    assert_eq!(subnet.lease_next("a"), None);
    subnet.lease(ip("10.0.0.200"), "b").unwrap();
    assert!(subnet.release(ip("10.0.0.200")));
    assert_eq!(subnet.lease_next("a"), None);
}

#[test]
fn what_is_reserved_or_taken_is_refused_and_named() {
    let mut subnet = Subnet::new(SubnetSpec {
        gateway: Some(ip("10.0.0.9")),
        aux_addresses: BTreeMap::from([("printer".to_owned(), ip("10.0.0.1"))]),
        ..net("10.0.0.0/28").into()
    })
    .unwrap();
    subnet.lease(ip("10.0.0.5"), "sandbox web").unwrap();
    let mut refusal = |text| subnet.lease(ip(text), "b").unwrap_err().to_string();
    assert_eq!(
        refusal("10.0.0.0"),
        "10.0.0.0 is the network address of 10.0.0.0/28"
    );
    assert_eq!(
        refusal("10.0.0.15"),
        "10.0.0.15 is the broadcast address of 10.0.0.0/28"
    );
    assert_eq!(refusal("10.0.0.9"), "10.0.0.9 is in use by the gateway");
    assert_eq!(
        refusal("10.0.0.1"),
        "10.0.0.1 is in use by auxiliary address printer"
    );
    assert_eq!(refusal("10.0.0.5"), "10.0.0.5 is in use by sandbox web");
    assert_eq!(refusal("10.0.0.16"), "10.0.0.16 is outside of 10.0.0.0/28");
    assert_eq!(refusal("fd00::1"), "fd00::1 is outside of 10.0.0.0/28");
    // Neither can be released by somebody who guesses.
    assert!(!subnet.release(ip("10.0.0.9")) && !subnet.release(ip("10.0.0.1")));
    assert!(!subnet.release(ip("fd00::1")));
}

#[test]
fn an_auxiliary_first_address_moves_the_default_gateway() {
    let subnet = Subnet::new(SubnetSpec {
        aux_addresses: BTreeMap::from([("router".to_owned(), ip("10.0.0.1"))]),
        ..net("10.0.0.0/28").into()
    });
    assert_eq!(subnet.unwrap().gateway(), ip("10.0.0.2"));
}

#[test]
fn a_spec_that_contradicts_itself_is_refused() {
    let refusal = |spec| Subnet::new(spec).unwrap_err();
    let base = || SubnetSpec::from(net("10.0.0.0/24"));
    assert!(matches!(
        refusal(net("10.0.0.1/24").into()),
        SubnetError::HostBits { .. }
    ));
    for unusable in [
        "127.0.0.0/24",
        "0.0.0.0/0",
        "239.1.0.0/16",
        "ff02::/16",
        "::/0",
        "fe80::/64",
    ] {
        assert!(
            matches!(refusal(net(unusable).into()), SubnetError::Unusable { .. }),
            "{unusable}"
        );
    }
    let outside = SubnetSpec {
        ip_range: Some(net("10.0.1.0/25")),
        ..base()
    };
    assert!(matches!(
        refusal(outside),
        SubnetError::IpRangeOutside { .. }
    ));
    let wider = SubnetSpec {
        ip_range: Some(net("10.0.0.0/16")),
        ..base()
    };
    assert!(matches!(refusal(wider), SubnetError::IpRangeOutside { .. }));
    let host_bits = SubnetSpec {
        ip_range: Some(net("10.0.0.9/28")),
        ..base()
    };
    assert!(matches!(refusal(host_bits), SubnetError::HostBits { .. }));
    let gateway = SubnetSpec {
        gateway: Some(ip("10.0.0.255")),
        ..base()
    };
    assert!(matches!(refusal(gateway), SubnetError::Gateway { .. }));
    let clash = SubnetSpec {
        gateway: Some(ip("10.0.0.7")),
        aux_addresses: BTreeMap::from([("x".to_owned(), ip("10.0.0.7"))]),
        ..base()
    };
    assert!(matches!(refusal(clash), SubnetError::Auxiliary { .. }));
    let full = SubnetSpec {
        aux_addresses: BTreeMap::from([("x".to_owned(), ip("10.0.0.4"))]),
        ..net("10.0.0.4/32").into()
    };
    assert!(matches!(refusal(full), SubnetError::NoGateway { .. }));
}

#[test]
fn prefixes_without_room_to_spare_use_every_address() {
    let mut link = subnet("10.0.0.4/31");
    assert_eq!(link.gateway(), ip("10.0.0.4"));
    assert_eq!(link.lease_next("a"), Some(ip("10.0.0.5")));
    assert_eq!(link.lease_next("b"), None);
    let mut v6 = subnet("fd00::/127");
    assert_eq!(v6.gateway(), ip("fd00::"));
    assert_eq!(v6.lease_next("a"), Some(ip("fd00::1")));
    let mut host = subnet("10.0.0.4/32");
    assert_eq!(host.lease_next("a"), None);
}

#[test]
fn a_released_address_comes_back_last_and_the_longest_unused_first() {
    let mut subnet = subnet("10.0.0.0/29");
    for _ in 0..3 {
        subnet.lease_next("a").unwrap();
    }
    assert!(subnet.release(ip("10.0.0.4")));
    assert!(subnet.release(ip("10.0.0.2")));
    let next: Vec<_> = (0..4).filter_map(|_| subnet.lease_next("b")).collect();
    assert_eq!(next, [5, 6, 4, 2].map(|n| ip(&format!("10.0.0.{n}"))));
    assert_eq!(subnet.lease_next("b"), None);
}

#[test]
fn who_had_several_addresses_gets_them_all_back_the_last_released_first() {
    let mut subnet = subnet("10.0.0.0/28");
    let had = [(); 3].map(|()| subnet.lease_next("a").unwrap());
    for address in [had[2], had[0], had[1]] {
        assert!(subnet.release(address));
    }
    subnet.lease(had[0], "b").unwrap();
    let back = [(); 3].map(|()| subnet.lease_next("a").unwrap());
    assert_eq!(back, [had[1], had[2], ip("10.0.0.5")]);
}

#[test]
fn coming_and_going_in_a_huge_subnet_keeps_memory_bounded_and_addresses_fresh() {
    let mut subnet = subnet("fd00::/64");
    let mut last_use = BTreeMap::new();
    for turn in 0..3 * Resting::LIMIT {
        let address = subnet.lease_next(&format!("s{turn}")).unwrap();
        if let Some(before) = last_use.insert(address, turn) {
            assert!(
                turn - before > Resting::LIMIT,
                "{address} came back too early"
            );
        }
        assert!(subnet.release(address));
    }
    subnet.resting.assert_consistent();
    assert!(subnet.leases.len() == 1, "only the gateway is left");
}

#[test]
fn the_end_of_the_address_space_can_be_leased() {
    let mut subnet = Subnet::new(SubnetSpec {
        ip_range: Some(net("feff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127")),
        ..net("fec0::/10").into()
    })
    .unwrap();
    assert!(subnet.lease_next("a").is_some());
    assert!(subnet.lease_next("a").is_some());
    assert_eq!(subnet.lease_next("a"), None);
}

#[test]
fn who_comes_back_gets_the_address_it_had_last_while_it_is_free() {
    let mut subnet = subnet("10.0.0.0/24");
    let first = subnet.lease_next("web").unwrap();
    let other = subnet.lease_next("db").unwrap();
    assert!(subnet.release(first) && subnet.release(other));
    assert_eq!(subnet.lease_next("web"), Some(first));
    // It had another one later, and both rest.
    subnet.lease(ip("10.0.0.99"), "web").unwrap();
    assert!(subnet.release(first) && subnet.release(ip("10.0.0.99")));
    assert_eq!(subnet.lease_next("web"), Some(ip("10.0.0.99")));
    // Somebody took it by name meanwhile.
    subnet.lease(other, "thief").unwrap();
    assert_eq!(subnet.lease_next("db"), Some(ip("10.0.0.4")));
}

#[test]
fn an_address_that_something_else_uses_comes_last_and_belongs_to_nobody() {
    let mut subnet = subnet("10.0.0.0/29");
    let foreign = subnet.lease_next("web").unwrap();
    assert!(subnet.set_aside(foreign) && !subnet.set_aside(foreign));
    let next: Vec<_> = (0..6).filter_map(|_| subnet.lease_next("web")).collect();
    assert_eq!(next, [3, 4, 5, 6, 2].map(|n| ip(&format!("10.0.0.{n}"))));
    assert_eq!(subnet.released().count(), 0);
    assert!(!subnet.set_aside(subnet.gateway()));
}

#[test]
fn what_a_restart_remembers_that_is_not_so_any_more_is_left_out() {
    let mut subnet = Subnet::new(SubnetSpec {
        ip_range: Some(net("10.0.0.8/29")),
        ..net("10.0.0.0/28").into()
    })
    .unwrap();
    subnet.lease(ip("10.0.0.9"), "a").unwrap();
    for address in ["10.0.0.9", "10.0.0.2", "10.0.0.15", "10.0.1.9", "fd00::1"] {
        subnet.remember(&Released {
            address: ip(address),
            owner: "web".to_owned(),
        });
    }
    assert_eq!(subnet.released().count(), 0);
    assert_eq!(subnet.lease_next("web"), Some(ip("10.0.0.8")));
}

#[test]
fn which_holder_is_forgotten_next_is_known_before() {
    let mut subnet = subnet("10.0.0.0/16");
    let given: Vec<_> = (0..4097)
        .map(|n| subnet.lease_next(&format!("s{n}")).unwrap())
        .collect();
    for address in &given[..4096] {
        assert_eq!(subnet.next_to_forget(), None);
        assert!(subnet.will_rest(*address) && subnet.release(*address));
    }
    assert_eq!(subnet.next_to_forget(), Some(given[0]));
    assert_eq!(subnet.last_owner(given[0]), Some("s0"));
    assert!(subnet.release(given[4096]));
    assert_eq!(subnet.last_owner(given[0]), None);
    assert_eq!(subnet.next_to_forget(), Some(given[1]));
}
