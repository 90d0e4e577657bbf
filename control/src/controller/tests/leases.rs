//! Addresses that DHCP leases to those behind ports.

use std::net::Ipv4Addr;

use super::{Rig, restarted, rig, store, with_pid, with_subnets};
use crate::ControlError;
use crate::api::{Connect, Disconnect};
use crate::datapath::{Addressing, ClientKey, KeptLease};

fn client(number: u8) -> ClientKey {
    ClientKey::new(mac(number), None)
}

fn mac(number: u8) -> tapweave_net::MacAddr {
    tapweave_net::MacAddr::new([2, 0, 0, 0, 9, number])
}

fn lease(address: Ipv4Addr, number: u8) -> KeptLease {
    KeptLease {
        address,
        client: client(number),
        mac: mac(number),
        host_name: Some("machine".to_owned()),
    }
}

/// Returns a rig with a sandbox in `10.0.0.0/28`, at the port that is returned.
fn connected() -> (Rig, tapweave_net::PortNo) {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/28"]));
    rig.controller.connect("net", with_pid("a", 1)).unwrap();
    let port = rig.datapath.ports()[0];
    (rig, port)
}

#[test]
fn an_interface_that_asks_has_its_address_reserved() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/28"]));
    let request = Connect {
        addressing: Addressing::Dhcp,
        ..with_pid("vm", 1)
    };
    let endpoint = rig.controller.connect("net", request).unwrap();
    assert_eq!(endpoint.addressing, Addressing::Dhcp);
    assert_eq!(endpoint.addresses[0].to_string(), "10.0.0.2/28");
    let interface = rig.datapath.interfaces().remove(0);
    assert_eq!(interface.addressing, Addressing::Dhcp);
    assert_eq!(interface.sandbox.as_str(), "vm");
}

#[test]
fn a_leased_address_is_nobody_elses_until_it_is_given_back() {
    let (rig, port) = connected();
    let leased = rig.controller.take_lease(port, &client(1), None).unwrap();
    assert_eq!(leased, Ipv4Addr::new(10, 0, 0, 3));
    assert!(!rig.controller.take_lease_of(port, &client(2), leased));
    let taken = Connect {
        ip: Some(leased),
        ..with_pid("b", 2)
    };
    assert!(rig.refusal("net", taken).contains("10.0.0.3"));
    rig.controller.give_back_lease(port, leased);
    assert!(rig.controller.take_lease_of(port, &client(2), leased));
    // Outside of the subnet, and the gateway's.
    for address in [Ipv4Addr::new(10, 0, 1, 3), Ipv4Addr::new(10, 0, 0, 1)] {
        assert!(!rig.controller.take_lease_of(port, &client(2), address));
    }
    let disconnect = Disconnect {
        sandbox: "a".to_owned(),
        force: false,
    };
    rig.controller.disconnect("net", &disconnect).unwrap();
    assert_eq!(rig.controller.take_lease(port, &client(1), None), None);
    let free = Connect {
        ip: Some(leased),
        ..with_pid("b", 2)
    };
    rig.controller.connect("net", free).unwrap();
}

#[test]
fn who_comes_back_gets_what_it_had() {
    let (rig, port) = connected();
    let first = rig.controller.take_lease(port, &client(1), None).unwrap();
    let second = rig.controller.take_lease(port, &client(2), None).unwrap();
    for address in [first, second] {
        rig.controller.give_back_lease(port, address);
    }
    let again = rig.controller.take_lease(port, &client(2), None);
    assert_eq!(again, Some(second));
}

#[test]
fn a_kept_lease_is_there_after_a_restart_and_goes_with_its_endpoint() {
    let store = store();
    let rig = restarted(&store);
    rig.create(with_subnets("net", &["10.0.0.0/28"]));
    rig.controller.connect("net", with_pid("a", 1)).unwrap();
    let port = rig.datapath.ports()[0];
    let kept = rig.controller.take_lease(port, &client(1), None).unwrap();
    assert!(rig.controller.keep_lease(port, &lease(kept, 1)));
    let offered = rig.controller.take_lease(port, &client(2), None).unwrap();
    let not_taken = lease(Ipv4Addr::new(10, 0, 0, 9), 3);
    assert!(!rig.controller.keep_lease(port, &not_taken));

    let rig = restarted(&store);
    let interface = rig.datapath.interfaces().remove(0);
    assert_eq!(interface.leases, [lease(kept, 1)]);
    let port = rig.datapath.ports()[0];
    let view = rig.controller.leases(None).unwrap().remove(0);
    assert_eq!((view.address, view.port.as_deref()), (kept, Some("net/a")));
    assert!(!rig.controller.take_lease_of(port, &client(4), kept));
    assert!(rig.controller.take_lease_of(port, &client(4), offered));
    rig.controller.give_back_lease(port, kept);

    let rig = restarted(&store);
    assert!(rig.datapath.interfaces().remove(0).leases.is_empty());
    let none = rig.controller.leases(Some("other")).unwrap_err();
    assert!(matches!(none, ControlError::NoSuch { .. }));
}

#[test]
fn a_network_may_have_no_server() {
    let rig = rig();
    let mut request = with_subnets("net", &["10.0.0.0/28"]);
    let off = ("tapweave.dhcp".to_owned(), "false".to_owned());
    request.options.extend([off]);
    rig.create(request);
    let gateway = rig.datapath.networks()[0].gateway.clone().unwrap();
    assert_eq!(gateway.dhcp, None);
    let none = rig.controller.dhcp("net").unwrap_err().to_string();
    assert!(none.contains("tapweave.dhcp=false"), "{none}");
}
