//! Addresses that are fixed by hand for machines behind ports.

use std::net::Ipv4Addr;

use super::{Rig, restarted, rig, store, with_pid, with_subnets};
use crate::api::{Connect, LeaseAdd, LeaseOrigin, LeaseStateView};
use crate::datapath::{ClientKey, KeptLease};
use crate::{ControlError, ErrorKind};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const MACHINE: &str = "52:54:00:00:00:01";

/// Returns a rig with a sandbox at 10.0.0.2 in `10.0.0.0/28`.
fn connected() -> Rig {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/28"]));
    rig.controller.connect("net", with_pid("a", 1)).unwrap();
    rig
}

fn add(rig: &Rig, address: Ipv4Addr, client: &str) -> Result<bool, ControlError> {
    rig.controller.lease_add(&LeaseAdd {
        network: "net".to_owned(),
        address,
        client: client.to_owned(),
    })
}

/// Returns what the packet path was told last.
fn told(rig: &Rig) -> Vec<String> {
    let model = rig.controller.model();
    let number = model.network("net").unwrap().number;
    let leases = rig.datapath.static_leases(number).into_iter();
    leases
        .map(|(client, address)| format!("{client} {address}"))
        .collect()
}

#[test]
fn a_fixed_address_is_kept_out_of_the_pool_until_it_is_taken_back() {
    let rig = connected();
    let port = rig.datapath.ports()[0];
    assert!(!add(&rig, OURS, MACHINE).unwrap());
    assert!(add(&rig, OURS, MACHINE).unwrap());
    assert_eq!(told(&rig), [format!("{MACHINE} {OURS}")]);
    let other: ClientKey = "52:54:00:00:00:02".parse().unwrap();
    assert!(!rig.controller.take_lease_of(port, &other, OURS));
    let connect = Connect {
        ip: Some(OURS),
        ..with_pid("b", 2)
    };
    let refusal = rig.refusal("net", connect);
    assert!(
        refusal.contains("10.0.0.9 is in use by the static lease of 52:54:00:00:00:01"),
        "{refusal}"
    );
    let view = rig.controller.leases(None).unwrap().remove(0);
    assert_eq!(
        (view.address, view.origin, view.state, view.expires_in),
        (OURS, LeaseOrigin::Static, LeaseStateView::Reserved, None)
    );
    assert_eq!(view.client, MACHINE);

    rig.controller.lease_del("net", OURS).unwrap();
    assert!(told(&rig).is_empty());
    assert!(rig.controller.take_lease_of(port, &other, OURS));
    let none = rig.controller.lease_del("net", OURS).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
}

#[test]
fn what_gateways_answer_is_counted_by_network() {
    let rig = connected();
    let port = rig.datapath.ports()[0];
    add(&rig, OURS, MACHINE).unwrap();
    let client = "id ff:00:2a".parse().unwrap();
    rig.controller.take_lease(port, &client, None).unwrap();
    let services = rig.controller.stats().services.remove(0);
    assert_eq!((services.leases, services.static_leases), (1, 1));
    let mut text = crate::metrics::Text::default();
    rig.controller.write_metrics(&mut text);
    let text = text.finish();
    for line in [
        "tapweave_dns_queries_total{network=\"net\",outcome=\"local\"} 0",
        "tapweave_dns_failures_total{network=\"net\"} 0",
        "tapweave_dhcp_messages_total{network=\"net\",kind=\"acks\"} 0",
        "tapweave_dhcp_leases{network=\"net\"} 1",
        "tapweave_dhcp_static_leases{network=\"net\"} 1",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
}

#[test]
fn what_is_in_the_way_is_named() {
    let rig = connected();
    let port = rig.datapath.ports()[0];
    let client: ClientKey = "id ff:00:2a".parse().unwrap();
    let leased = rig.controller.take_lease(port, &client, None).unwrap();
    add(&rig, OURS, MACHINE).unwrap();
    let endpoint = rig.controller.endpoints().remove(0);
    let own = endpoint.mac.to_string();
    let free = Ipv4Addr::new(10, 0, 0, 10);
    for (address, client, reason) in [
        (
            OURS,
            "52:54:00:00:00:02",
            "the static lease of 52:54:00:00:00:01",
        ),
        (
            free,
            MACHINE,
            "has the static lease of 10.0.0.9 in network net",
        ),
        (free, &own, "is in use by net/a"),
        (
            Ipv4Addr::new(10, 0, 0, 1),
            "id 00:01",
            "is in use by the gateway",
        ),
        (Ipv4Addr::new(10, 0, 0, 2), "id 00:01", "is in use by net/a"),
        (leased, "id 00:01", "is in use by net/a/dhcp id ff:00:2a"),
        (Ipv4Addr::new(10, 0, 0, 15), "id 00:01", "broadcast address"),
        (
            Ipv4Addr::new(10, 0, 1, 9),
            "id 00:01",
            "is outside of 10.0.0.0/28",
        ),
        (free, "web", "should be a MAC address, or `id` and octets"),
        (free, "id 00", "2 to 255 octets, not 1"),
        (
            free,
            "ff:ff:ff:ff:ff:ff",
            "cannot be the address of an interface",
        ),
    ] {
        let refusal = add(&rig, address, client).unwrap_err().chain();
        assert!(refusal.contains(reason), "{address} {client}: {refusal}");
    }
    let connect = Connect {
        mac: Some(MACHINE.parse().unwrap()),
        ..with_pid("b", 2)
    };
    let refusal = rig.refusal("net", connect);
    assert!(
        refusal.contains("has the static lease of 10.0.0.9"),
        "{refusal}"
    );
    assert_eq!(told(&rig), [format!("{MACHINE} {OURS}")]);
}

#[test]
fn a_network_without_a_server_has_no_static_leases() {
    let rig = rig();
    let mut request = with_subnets("net", &["10.0.0.0/28"]);
    let off = ("tapweave.dhcp".to_owned(), "false".to_owned());
    request.options.extend([off]);
    rig.create(request);
    let refusal = add(&rig, OURS, MACHINE).unwrap_err();
    assert!(matches!(refusal, ControlError::NoDhcp { .. }));
    let refusal = rig.controller.lease_del("net", OURS).unwrap_err();
    assert!(matches!(refusal, ControlError::NoDhcp { .. }));
}

#[test]
fn a_fixed_address_survives_a_restart_and_goes_with_its_network() {
    let store = store();
    let rig = restarted(&store);
    rig.create(with_subnets("net", &["10.0.0.0/28"]));
    rig.controller.connect("net", with_pid("a", 1)).unwrap();
    let port = rig.datapath.ports()[0];
    // One that its machine has from the pool already.
    let client: ClientKey = "id ff:00:2a".parse().unwrap();
    let address = rig.controller.take_lease(port, &client, None).unwrap();
    let kept = KeptLease {
        address,
        client,
        mac: MACHINE.parse().unwrap(),
        host_name: None,
    };
    assert!(rig.controller.keep_lease(port, &kept));
    add(&rig, address, MACHINE).unwrap();
    add(&rig, OURS, "id 76:6d").unwrap();
    // The end of the one from the pool does not concern it any more.
    rig.controller.give_back_lease(port, address);

    let rig = restarted(&store);
    let expected = [format!("{MACHINE} {address}"), format!("id 76:6d {OURS}")];
    assert_eq!(told(&rig), expected);
    assert!(rig.datapath.interfaces().remove(0).leases.is_empty());
    let other = "id 00:01".parse().unwrap();
    let port = rig.datapath.ports()[0];
    assert!(!rig.controller.take_lease_of(port, &other, address));
    rig.controller.sandbox_ended(rig.datapath.sandboxes()[0]);
    assert_eq!(told(&rig), expected);
    rig.controller.remove_network("net").unwrap();
    let rest = store.range(&tapweave_store::Prefix::all()).unwrap();
    let keys: Vec<_> = rest.entries.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["schema"]);
}
