//! Tests of the controller over a packet path in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use tapweave_ipam::DefaultPools;
use tapweave_net::{Vid, VidSet};
use tapweave_store::{MemoryStore, StoppedClock, Store};
use tapweave_switch::PortVlans;

use super::{Controller, RestoreError};
use crate::ControlError;
use crate::api::{Connect, CreateNetwork, Disconnect, FdbAdd, SubnetRequest};
use crate::datapath::{Isolation, NamespaceRef, Offloading, SandboxNo};
use crate::error::ErrorKind;
use crate::memory::{MemoryDatapath, MemoryHost, Population};

mod addresses;
mod concurrency;
mod failures;
mod gateways;
mod learned_peers;
mod leases;
mod nat;
mod neighbors;
mod peers;
mod publishing;
mod restore;
mod static_leases;
mod storing;
mod tables;
mod taken_up;
mod telling;

/// A controller and the packet path below it.
struct Rig {
    controller: Controller,
    datapath: Arc<MemoryDatapath>,
}

fn rig() -> Rig {
    rig_beside(&[])
}

/// Returns a rig on a host that uses some prefixes.
fn rig_beside(host_prefixes: &[&str]) -> Rig {
    rig_with_pools(host_prefixes, DefaultPools::default())
}

fn rig_with_pools(host_prefixes: &[&str], pools: DefaultPools) -> Rig {
    let datapath = Arc::new(MemoryDatapath::default());
    let host = MemoryHost::new(host_prefixes.iter().map(|p| p.parse().unwrap()).collect());
    let packet_path = Arc::<MemoryDatapath>::clone(&datapath);
    Rig {
        controller: Controller::new(packet_path, Arc::new(host), pools),
        datapath,
    }
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Arc::new(StoppedClock)))
}

fn host() -> MemoryHost {
    MemoryHost::new(Vec::new())
}

/// Opens what is stored, with a packet path in which nothing is.
fn open_on(store: &Arc<dyn Store>, host: MemoryHost) -> Result<Rig, RestoreError> {
    let datapath = Arc::new(MemoryDatapath::default());
    let controller = Controller::open(
        Arc::<MemoryDatapath>::clone(&datapath),
        Arc::new(host),
        DefaultPools::default(),
        Arc::clone(store),
    )?;
    Ok(Rig {
        controller,
        datapath,
    })
}

fn rig_on(store: &Arc<dyn Store>) -> Rig {
    open_on(store, host()).unwrap()
}

/// Opens what is stored, and brings back everything.
fn restarted(store: &Arc<dyn Store>) -> Rig {
    let rig = rig_on(store);
    assert!(!rig.controller.reconcile(), "something waits");
    rig
}

fn network(name: &str) -> CreateNetwork {
    CreateNetwork::new(name.parse().unwrap())
}

fn with_subnets(name: &str, subnets: &[&str]) -> CreateNetwork {
    CreateNetwork {
        subnets: subnets
            .iter()
            .map(|subnet| subnet_request(subnet))
            .collect(),
        ..network(name)
    }
}

fn subnet_request(subnet: &str) -> SubnetRequest {
    SubnetRequest {
        subnet: subnet.parse().unwrap(),
        ip_range: None,
        gateway: None,
        aux_addresses: std::collections::BTreeMap::new(),
    }
}

/// Asks for `sandbox` with the namespace of number `namespace`.
fn with_pid(sandbox: &str, namespace: u32) -> Connect {
    Connect {
        namespace: Some(NamespaceRef::Pid(namespace)),
        ..Connect::new(sandbox)
    }
}

impl Rig {
    fn create(&self, request: CreateNetwork) {
        self.controller.create_network(request).unwrap();
    }

    fn disconnect(&self, network: &str, sandbox: &str) {
        let request = Disconnect {
            sandbox: sandbox.to_owned(),
            force: false,
        };
        self.controller.disconnect(network, &request).unwrap();
    }

    fn refusal(&self, network: &str, request: Connect) -> String {
        self.controller
            .connect(network, request)
            .unwrap_err()
            .chain()
    }
}

#[test]
fn a_network_without_wishes_gets_a_subnet_that_the_host_does_not_use() {
    let rig = rig_beside(&["0.0.0.0/0", "10.192.0.0/24", "192.168.1.0/24"]);
    let made = rig.controller.create_network(network("one")).unwrap();
    assert_eq!(made.ipam.config[0].subnet.to_string(), "10.192.1.0/24");
    assert_eq!(made.ipam.config[0].gateway.to_string(), "10.192.1.1");
    assert_eq!(made.created, "2026-01-01T00:00:00.000000000Z");
    assert!(made.enable_ipv4 && !made.enable_ipv6);
    let other = rig.controller.create_network(network("two")).unwrap();
    assert_eq!(other.ipam.config[0].subnet.to_string(), "10.192.2.0/24");
    assert_eq!(rig.controller.network("one").unwrap(), made);
    assert_eq!(rig.controller.network(made.id.short()).unwrap(), made);
    assert_eq!(rig.controller.networks(), [made, other]);
}

#[test]
fn ipv6_without_a_subnet_gets_a_unique_local_one() {
    let rig = rig();
    let request = CreateNetwork {
        ipv6: true,
        ..network("dual")
    };
    let made = rig.controller.create_network(request).unwrap();
    assert!(made.enable_ipv4 && made.enable_ipv6);
    let v6 = made.ipam.config[1].subnet;
    assert_eq!(v6.prefix_len(), 64);
    assert!(v6.to_string().starts_with("fd"), "{v6}");
    let endpoint = rig.controller.connect("dual", with_pid("web", 7)).unwrap();
    assert_eq!(endpoint.addresses[0].to_string(), "10.192.0.2/24");
    assert!(v6.contains(&endpoint.addresses[1].addr()));
    let container = rig.controller.network("dual").unwrap().containers;
    let container = container.values().next().unwrap();
    assert_eq!(container.ipv4_address, "10.192.0.2/24");
    assert_eq!(container.ipv6_address, endpoint.addresses[1].to_string());
}

#[test]
fn an_l2_network_has_no_addresses_and_a_mac_for_each_sandbox_that_it_keeps() {
    let rig = rig();
    let request = CreateNetwork {
        l2_only: true,
        ..network("l2")
    };
    let made = rig.controller.create_network(request.clone()).unwrap();
    assert_eq!(made.ipam.driver, "null");
    assert!(made.ipam.config.is_empty() && !made.enable_ipv4);
    let one = rig.controller.connect("l2", with_pid("one", 1)).unwrap();
    let two = rig.controller.connect("l2", with_pid("two", 2)).unwrap();
    assert!(one.addresses.is_empty());
    assert!(one.mac.is_locally_administered() && one.mac.is_station() && one.mac != two.mac);
    rig.disconnect("l2", "one");
    let again = rig.controller.connect("l2", with_pid("one", 1)).unwrap();
    assert_eq!(again.mac, one.mac);
    let with_ip = Connect {
        ip: Some("10.0.0.2".parse().unwrap()),
        ..with_pid("three", 3)
    };
    assert_eq!(
        rig.refusal("l2", with_ip),
        "network l2 has no such address to give: the network has no IPv4 subnet"
    );
    let contradiction = CreateNetwork {
        ipv6: true,
        name: "l2b".parse().unwrap(),
        ..request
    };
    let error = rig.controller.create_network(contradiction).unwrap_err();
    assert!(matches!(error, ControlError::L2WithAddresses));
}

#[test]
fn networks_that_clash_are_refused_and_leave_nothing_behind() {
    let rig = rig();
    rig.create(with_subnets("one", &["10.0.0.0/24"]));
    let refusal = |request| rig.controller.create_network(request).unwrap_err().chain();
    assert_eq!(
        refusal(network("one")),
        "there is a network called one already"
    );
    assert_eq!(
        refusal(with_subnets("two", &["10.0.0.128/25"])),
        "subnet 10.0.0.128/25 overlaps 10.0.0.0/24 of network one"
    );
    assert_eq!(
        refusal(with_subnets("two", &["10.1.0.0/24", "10.1.0.0/25"])),
        "subnet 10.1.0.0/25 overlaps 10.1.0.0/24"
    );
    assert_eq!(
        refusal(with_subnets("two", &["10.1.0.5/24"])),
        "10.1.0.5/24 has host bits set; the subnet is 10.1.0.0/24"
    );
    assert_eq!(
        refusal(network("host")),
        "a network cannot be called host: the word is reserved"
    );
    let small = CreateNetwork {
        mtu: Some(1000),
        ..with_subnets("two", &["fd00::/64"])
    };
    assert_eq!(
        refusal(small),
        "an MTU of 1000 is too small for IPv6, which needs 1280"
    );
    assert_eq!(rig.datapath.population().networks, 1);
}

#[test]
fn exhausted_pools_are_an_error_and_leave_nothing_behind() {
    let rig = rig_beside(&["10.0.0.0/8"]);
    let error = rig.controller.create_network(network("one")).unwrap_err();
    assert!(matches!(error, ControlError::Pools(_)), "{error}");
    assert_eq!(rig.datapath.population(), Population::default());
}

#[test]
fn a_network_in_use_is_not_removed_and_says_by_whom() {
    let rig = rig();
    rig.create(network("net"));
    rig.controller.connect("net", with_pid("web", 7)).unwrap();
    rig.controller.connect("net", with_pid("db", 8)).unwrap();
    let error = rig.controller.remove_network("net").unwrap_err().chain();
    assert!(
        error.starts_with("network net is in use by net/"),
        "{error}"
    );
    assert!(error.contains("net/web") && error.contains("net/db"));
    rig.controller.remove_sandbox("web").unwrap();
    rig.controller.sandbox_ended(SandboxNo(2));
    rig.controller.remove_network("net").unwrap();
    assert!(rig.controller.networks().is_empty());
    assert_eq!(rig.datapath.population(), Population::default());
    let again = rig.controller.remove_network("net").unwrap_err();
    assert_eq!(again.to_string(), "there is no network \"net\"");
}

#[test]
fn an_endpoint_gets_what_was_asked_for() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/24", "fd00::/64"]));
    let request = Connect {
        ifname: Some("lan7".parse().unwrap()),
        ip: Some("10.0.0.77".parse().unwrap()),
        ip6: Some("fd00::77".parse().unwrap()),
        mac: Some("02:11:22:33:44:55".parse().unwrap()),
        aliases: vec!["www".parse().unwrap()],
        queues: Some(4),
        offload: Some(false),
        isolated: true,
        ..with_pid("web", 7)
    };
    let endpoint = rig.controller.connect("net", request).unwrap();
    assert_eq!(endpoint.port, "net/web");
    assert_eq!(endpoint.ifname, "lan7");
    assert_eq!(endpoint.addresses[0].to_string(), "10.0.0.77/24");
    assert_eq!(endpoint.addresses[1].to_string(), "fd00::77/64");
    assert!(endpoint.isolated && endpoint.offloads.is_empty());
    let interface = &rig.datapath.interfaces()[0];
    assert_eq!(interface.mac.to_string(), "02:11:22:33:44:55");
    assert_eq!(interface.queue_count, 4);
    assert_eq!(interface.offload, Offloading::Off);
    assert_eq!(interface.isolation, Isolation::Isolated);
    assert_eq!(interface.mtu, 1500);
    let gateways: Vec<_> = interface
        .default_gateways
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(gateways, ["10.0.0.1", "fd00::1"]);
}

#[test]
fn a_port_is_transparent_access_or_trunk() {
    let rig = rig();
    rig.create(network("net"));
    let vid = |value| Vid::new(value).unwrap();
    let tagged: VidSet = "20-29".parse().unwrap();
    for (pid, vlan, trunk, expected) in [
        (1, None, None, PortVlans::Transparent),
        (2, Some(vid(10)), None, PortVlans::Access(vid(10))),
        (
            3,
            None,
            Some(tagged.clone()),
            PortVlans::Trunk {
                tagged: tagged.clone(),
                native: None,
            },
        ),
        (
            4,
            Some(vid(10)),
            Some(tagged.clone()),
            PortVlans::Trunk {
                tagged: tagged.clone(),
                native: Some(vid(10)),
            },
        ),
    ] {
        let request = Connect {
            vlan,
            trunk: trunk.clone(),
            ..with_pid(&format!("s{pid}"), pid)
        };
        let endpoint = rig.controller.connect("net", request).unwrap();
        assert_eq!((endpoint.vlan, endpoint.trunk), (vlan, trunk));
        let interface = rig.datapath.interfaces().pop().unwrap();
        assert_eq!(interface.vlans, expected);
    }
    let twice = Connect {
        vlan: Some(vid(25)),
        trunk: Some(tagged),
        ..with_pid("s5", 5)
    };
    let refusal = rig.controller.connect("net", twice).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Invalid);
    assert!(refusal.to_string().starts_with("VLAN 25 cannot be both"));
}

#[test]
fn without_icc_every_port_is_isolated() {
    let rig = rig();
    rig.create(CreateNetwork {
        icc: Some(false),
        ..network("net")
    });
    let endpoint = rig.controller.connect("net", with_pid("web", 7)).unwrap();
    assert!(endpoint.isolated);
    assert_eq!(rig.datapath.interfaces()[0].isolation, Isolation::Isolated);
}

#[test]
fn a_sandbox_in_several_networks_gets_one_interface_in_each() {
    let rig = rig();
    rig.create(network("one"));
    rig.create(network("two"));
    let first = rig.controller.connect("one", with_pid("web", 7)).unwrap();
    let second = rig.controller.connect("two", Connect::new("web")).unwrap();
    assert_eq!(
        (first.ifname.as_str(), second.ifname.as_str()),
        ("eth0", "eth1")
    );
    let sandbox = rig.controller.sandbox("web").unwrap();
    assert_eq!(sandbox.endpoints, [first, second]);
    // By the beginning of its id, too.
    assert_eq!(rig.controller.sandbox(sandbox.id.short()).unwrap(), sandbox);
}

#[test]
fn what_is_taken_in_a_network_is_refused_and_named() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/24"]));
    rig.create(network("other"));
    let mac = Some("02:11:22:33:44:55".parse().unwrap());
    let request = Connect {
        mac,
        ..with_pid("web", 7)
    };
    rig.controller.connect("net", request).unwrap();
    assert_eq!(
        rig.refusal("net", Connect::new("web")),
        "sandbox web is connected to network net already"
    );
    let same_ip = Connect {
        ip: Some("10.0.0.2".parse().unwrap()),
        ..with_pid("db", 8)
    };
    assert_eq!(
        rig.refusal("net", same_ip),
        "network net has no such address to give: 10.0.0.2 is in use by net/web"
    );
    let gateway = Connect {
        ip: Some("10.0.0.1".parse().unwrap()),
        ..with_pid("db", 8)
    };
    assert_eq!(
        rig.refusal("net", gateway),
        "network net has no such address to give: 10.0.0.1 is in use by the gateway"
    );
    let same_mac = Connect {
        mac,
        ..with_pid("db", 8)
    };
    assert_eq!(
        rig.refusal("net", same_mac),
        "02:11:22:33:44:55 is in use by net/web"
    );
    let same_ifname = Connect {
        ifname: Some("eth0".parse().unwrap()),
        ..Connect::new("web")
    };
    assert_eq!(
        rig.refusal("other", same_ifname),
        "interface eth0 of sandbox web is in use by net/web"
    );
    // The sandbox that could not be connected is not known either.
    assert_eq!(rig.controller.sandboxes().len(), 1);
    assert_eq!(
        rig.datapath.population(),
        Population {
            networks: 2,
            sandboxes: 1,
            ports: 1
        }
    );
}

#[test]
fn a_derived_mac_that_is_taken_is_replaced_by_a_random_one() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/24"]));
    let request = Connect {
        // What 10.0.0.3 would get.
        mac: Some("02:00:0a:00:00:03".parse().unwrap()),
        ..with_pid("one", 1)
    };
    rig.controller.connect("net", request).unwrap();
    let second = rig.controller.connect("net", with_pid("two", 2)).unwrap();
    assert_eq!(second.addresses[0].to_string(), "10.0.0.3/24");
    assert_ne!(second.mac.to_string(), "02:00:0a:00:00:03");
    assert!(second.mac.is_station() && second.mac.is_locally_administered());
}

#[test]
fn numbers_that_no_interface_can_have_are_refused() {
    let rig = rig();
    rig.create(network("net"));
    for queues in [0, 17, u16::MAX] {
        let request = Connect {
            queues: Some(queues),
            ..with_pid("web", 7)
        };
        assert_eq!(
            rig.refusal("net", request),
            format!("{queues} queues are outside of 1..=16")
        );
    }
    for mac in [
        "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff",
        "01:80:c2:00:00:00",
    ] {
        let request = Connect {
            mac: Some(mac.parse().unwrap()),
            ..with_pid("web", 7)
        };
        let refusal = rig.refusal("net", request);
        assert!(
            refusal.contains("cannot be the address of an interface"),
            "{refusal}"
        );
    }
}

#[test]
fn a_namespace_has_one_name_and_a_name_one_namespace() {
    let rig = rig();
    rig.create(network("one"));
    rig.create(network("two"));
    rig.controller.connect("one", with_pid("web", 7)).unwrap();
    assert_eq!(
        rig.refusal("two", with_pid("db", 7)),
        "the namespace is known already, as sandbox web"
    );
    assert_eq!(
        rig.refusal("two", with_pid("web", 8)),
        "sandbox web is known already and has another namespace"
    );
    assert_eq!(
        rig.refusal("two", Connect::new("db")),
        "sandbox \"db\" is not known; give its namespace by --netns PATH or --pid PID"
    );
    // Naming the namespace again, in whatever way, is no mistake.
    let again = Connect {
        namespace: Some(NamespaceRef::Path("/run/netns/7".into())),
        ..Connect::new("web")
    };
    rig.controller.connect("two", again).unwrap();
    assert_eq!(rig.datapath.population().sandboxes, 1);
    let no_namespace = Connect {
        namespace: Some(NamespaceRef::Path("/etc/passwd".into())),
        ..Connect::new("db")
    };
    let refusal = rig.refusal("two", no_namespace);
    assert!(refusal.contains("is not a network namespace"), "{refusal}");
    let bad_name = rig.refusal("two", with_pid("d/b", 9));
    assert!(bad_name.starts_with("\"d/b\" is not a name"), "{bad_name}");
}

#[test]
fn a_disconnected_sandbox_stays_known_and_its_address_waits_for_it() {
    let rig = rig();
    rig.create(network("net"));
    let first = rig.controller.connect("net", with_pid("web", 7)).unwrap();
    let disconnect = |force| {
        rig.controller.disconnect(
            "net",
            &Disconnect {
                sandbox: "web".to_owned(),
                force,
            },
        )
    };
    disconnect(false).unwrap();
    assert_eq!(
        disconnect(false).unwrap_err().to_string(),
        "sandbox web is not connected to network net"
    );
    disconnect(true).unwrap();
    assert_eq!(rig.controller.sandbox("web").unwrap().endpoints, []);
    let second = rig.controller.connect("net", Connect::new("web")).unwrap();
    assert_eq!(second.addresses, first.addresses);
    assert_ne!(second.id, first.id);
    rig.controller.remove_endpoint(second.id.short()).unwrap();
    assert!(rig.controller.endpoints().is_empty());
    rig.controller.endpoint(second.id.as_str()).unwrap_err();
}

#[test]
fn the_end_of_a_sandbox_frees_everything_it_had() {
    let rig = rig();
    rig.create(network("one"));
    rig.create(network("two"));
    rig.controller.connect("one", with_pid("web", 7)).unwrap();
    rig.controller.connect("two", Connect::new("web")).unwrap();
    let number = rig.datapath.sandboxes()[0];
    rig.controller.sandbox_ended(number);
    assert!(rig.controller.sandboxes().is_empty() && rig.controller.endpoints().is_empty());
    assert_eq!(rig.datapath.population().ports, 0);
    assert_eq!(rig.datapath.population().sandboxes, 0);
    // Late, repeated and foreign reports are nothing.
    rig.controller.sandbox_ended(number);
    rig.controller.sandbox_ended(SandboxNo(999));
    // Name, namespace and networks are free again.
    rig.controller.connect("one", with_pid("web", 7)).unwrap();
    rig.controller.sandbox_ended(number);
    assert_eq!(
        rig.controller.sandboxes().len(),
        1,
        "an old report hit a new sandbox"
    );
}

#[test]
fn a_new_sandbox_may_be_called_like_the_beginning_of_anothers_id() {
    let rig = rig();
    rig.create(network("net"));
    rig.controller.connect("net", with_pid("web", 7)).unwrap();
    let id = rig.controller.sandbox("web").unwrap().id;
    let digit = &id.as_str()[..1];
    let endpoint = rig.controller.connect("net", with_pid(digit, 8)).unwrap();
    assert_eq!(endpoint.sandbox.as_str(), digit);
}

#[test]
fn a_failed_port_frees_its_endpoint_and_leaves_the_sandbox() {
    let rig = rig();
    rig.create(network("one"));
    rig.create(network("two"));
    rig.controller.connect("one", with_pid("web", 7)).unwrap();
    rig.controller.connect("two", Connect::new("web")).unwrap();
    let port = rig.datapath.ports()[0];
    rig.controller.port_failed(port);
    // A report for each queue of the port, and late ones, are nothing.
    rig.controller.port_failed(port);
    let left = rig.controller.endpoints();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].port, "two/web");
    assert_eq!(rig.datapath.ports().len(), 1);
    rig.controller.connect("one", Connect::new("web")).unwrap();
}

#[test]
fn references_are_names_or_unambiguous_beginnings_of_ids() {
    let rig = rig();
    // After some hundreds, two begin with the same four digits.
    let mut beginnings = BTreeSet::new();
    let shared = (0..)
        .find_map(|n| {
            let request = CreateNetwork {
                l2_only: true,
                ..network(&format!("net-{n}"))
            };
            let id = rig.controller.create_network(request).unwrap().id;
            let beginning = id.as_str()[..4].to_owned();
            (!beginnings.insert(beginning.clone())).then_some(beginning)
        })
        .unwrap();
    let networks = rig.controller.networks();
    let error = rig.controller.network(&shared).unwrap_err();
    assert!(matches!(error, ControlError::Ambiguous { .. }), "{error}");
    let too_short = &networks[0].id.as_str()[..3];
    for reference in ["", "zzz", "net-", too_short] {
        let error = rig.controller.network(reference).unwrap_err();
        assert!(matches!(error, ControlError::NoSuch { .. }), "{error}");
    }
    // A name goes before the beginning of an id.
    rig.create(CreateNetwork {
        l2_only: true,
        ..network(networks[3].id.short())
    });
    let found = rig.controller.network(networks[3].id.short()).unwrap();
    assert_eq!(found.name.as_str(), networks[3].id.short());
}
