//! A daemon that starts again on what an earlier one stored.

use std::net::IpAddr;

use tapweave_store::{Key, MemoryStore, Prefix, StoppedClock, Store};

use super::*;
use crate::Host;
use crate::api::{NeighborAdd, PeerAdd, PortState};
use crate::datapath::Datapath;

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Arc::new(StoppedClock)))
}

fn host() -> MemoryHost {
    MemoryHost::new(Vec::new())
}

fn open_on(store: &Arc<dyn Store>, host: MemoryHost) -> Result<Rig, String> {
    let datapath = Arc::new(MemoryDatapath::default());
    let controller = Controller::open(
        Arc::<MemoryDatapath>::clone(&datapath),
        Arc::new(host) as Arc<dyn Host>,
        DefaultPools::default(),
        Arc::clone(store),
    );
    let controller = controller.map_err(|error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    })?;
    Ok(Rig {
        controller,
        datapath,
    })
}

fn open(store: &Arc<dyn Store>) -> Rig {
    open_on(store, host()).unwrap()
}

/// Opens, and brings back everything.
fn restarted(store: &Arc<dyn Store>) -> Rig {
    let rig = open(store);
    assert!(!rig.controller.reconcile(), "something waits");
    rig
}

fn keys(store: &Arc<dyn Store>) -> Vec<String> {
    let entries = store.range(&Prefix::all()).unwrap().entries;
    entries.iter().map(|entry| entry.key.to_string()).collect()
}

/// What clients see, and what the packet path was told.
fn everything(rig: &Rig) -> impl PartialEq + std::fmt::Debug + use<> {
    let controller = &rig.controller;
    let mut interfaces = rig.datapath.interfaces();
    interfaces.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    for interface in &mut interfaces {
        // A name that was left open is asked for the second time; the endpoints say which it is.
        interface.ifname = None;
    }
    // The order is that of their making.
    let mut networks = rig.datapath.networks();
    networks.sort_by_key(|network| format!("{network:?}"));
    let published = rig.datapath.published();
    let published: BTreeSet<_> = published
        .iter()
        .map(|ports| (ports.transport, ports.host, ports.host_ports, ports.target))
        .collect();
    let fdb = controller.fdb(None).unwrap();
    let neighbors = controller.neighbors(None).unwrap();
    (
        (
            controller.networks(),
            controller.sandboxes(),
            controller.endpoints(),
        ),
        (controller.peers(None).unwrap(), fdb, neighbors),
        (interfaces, published, rig.datapath.population()),
        networks,
    )
}

/// Makes one of everything.
fn populate(rig: &Rig) {
    let labelled = CreateNetwork {
        ipv6: true,
        mtu: Some(1400),
        icc: Some(false),
        labels: [("team".to_owned(), "a".to_owned())].into(),
        options: [("tapweave.ageing".to_owned(), "60s".to_owned())].into(),
        ..network("front")
    };
    rig.create(labelled);
    rig.create(network("back"));
    rig.create(CreateNetwork {
        l2_only: true,
        ..network("raw")
    });
    rig.create(CreateNetwork {
        driver: "nic".to_owned(),
        parent: Some("enp1s0".to_owned()),
        ..network("lan")
    });
    rig.create(CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(77),
        ..with_subnets("wide", &["10.9.0.0/16"])
    });
    rig.create(CreateNetwork {
        driver: "overlay".to_owned(),
        encap: Some("gue".to_owned()),
        ..with_subnets("routed", &["10.8.1.0/24"])
    });
    let connect = |network: &str, request: Connect| {
        rig.controller.connect(network, request).unwrap();
    };
    connect(
        "front",
        Connect {
            publish: vec!["80".parse().unwrap(), "8443:443/udp".parse().unwrap()],
            aliases: vec!["www".parse().unwrap()],
            connection_limit: Some(100),
            ..with_pid("web", 7)
        },
    );
    connect("back", Connect::new("web"));
    connect(
        "back",
        Connect {
            ip: Some("10.192.1.77".parse().unwrap()),
            mac: Some("02:00:00:00:00:77".parse().unwrap()),
            ifname: Some("db0".parse().unwrap()),
            locked: true,
            vlan: Some(Vid::new(10).unwrap()),
            gw_priority: 3_i64.try_into().unwrap(),
            ..with_pid("db", 8)
        },
    );
    connect("raw", Connect::new("db"));
    connect("wide", Connect::new("db"));
    connect("lan", with_pid("tv", 9));
    let peer = |network: &str, address: &str, subnets: &[&str]| {
        let request = PeerAdd {
            network: network.to_owned(),
            address: address.parse().unwrap(),
            port: Some(4790),
            subnets: subnets.iter().map(|it| it.parse().unwrap()).collect(),
        };
        rig.controller.add_peer(&request).unwrap();
    };
    peer("wide", "192.0.2.7", &[]);
    peer("wide", "2001:db8::7", &[]);
    peer("routed", "192.0.2.7", &["10.8.2.0/24"]);
    let station = |network: &str, mac: &str, port: Option<&str>, vtep: Option<IpAddr>| {
        let request = FdbAdd {
            network: network.to_owned(),
            mac: mac.parse().unwrap(),
            port: port.map(str::to_owned),
            vtep,
            vlan: None,
        };
        rig.controller.fdb_add(&request).unwrap();
    };
    station("raw", "02:00:00:00:00:01", Some("raw/db"), None);
    station("wide", "02:00:00:00:00:02", None, "192.0.2.7".parse().ok());
    let neighbor = NeighborAdd {
        network: "wide".to_owned(),
        address: "10.9.0.200".parse().unwrap(),
        mac: "02:00:00:00:00:02".parse().unwrap(),
        router: false,
    };
    rig.controller.neighbor_add(&neighbor).unwrap();
}

#[test]
fn everything_is_as_it_was() {
    let store = store();
    let before = restarted(&store);
    populate(&before);
    let (stored, was) = (keys(&store), everything(&before));
    // 6 networks, 3 sandboxes, 6 endpoints, 3 peers, 2 stations, 1 neighbour and the version.
    assert_eq!(stored.len(), 22, "{stored:#?}");
    drop(before);
    let after = restarted(&store);
    assert_eq!(everything(&after), was);
    assert_eq!(keys(&store), stored);
    let repairs = after.controller.stats().repairs;
    let again = after.controller.reconcile();
    assert!(
        !again && after.controller.stats().repairs == repairs,
        "it is whole"
    );
    // And goes on: what is taken is taken, what is removed goes for good.
    let refusal = after.controller.create_network(network("front"));
    refusal.unwrap_err();
    let request = Connect {
        ip: Some("10.192.1.77".parse().unwrap()),
        ..with_pid("other", 10)
    };
    assert!(
        after
            .refusal("back", request)
            .contains("is in use by back/db")
    );
    after.controller.remove_sandbox("db").unwrap();
    after.controller.remove_network("wide").unwrap();
    after.controller.remove_network("raw").unwrap();
    let was = everything(&after);
    drop(after);
    assert_eq!(everything(&restarted(&store)), was);
}

#[test]
fn what_was_removed_stays_away() {
    let store = store();
    let before = restarted(&store);
    populate(&before);
    let controller = &before.controller;
    let mac = "02:00:00:00:00:01".parse().unwrap();
    controller.fdb_del("raw", mac, None).unwrap();
    let address = "10.9.0.200".parse().unwrap();
    controller.neighbor_del("wide", address).unwrap();
    // With it goes the entry at it.
    let peer = "192.0.2.7".parse().unwrap();
    controller.remove_peer("wide", peer).unwrap();
    before.disconnect("back", "web");
    let was = everything(&before);
    drop(before);
    assert_eq!(everything(&restarted(&store)), was);
    let left = keys(&store);
    assert!(
        !left
            .iter()
            .any(|key| key.starts_with("fdb/") || key.starts_with("neighbors/"))
    );
}

#[test]
fn a_sandbox_that_ended_meanwhile_is_gone_with_its_records() {
    let store = store();
    let before = restarted(&store);
    populate(&before);
    drop(before);
    let after = open(&store);
    after.datapath.end_namespace(7);
    after.datapath.replace_namespace(8);
    assert!(!after.controller.reconcile());
    let names: Vec<_> = after.controller.sandboxes();
    let names: Vec<_> = names.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        ["tv"],
        "one has gone, and another has the place of the other"
    );
    assert_eq!(after.controller.stats().repairs["sandboxes_ended"], 2);
    assert_eq!(after.datapath.published(), []);
    // Their names and namespaces are free.
    after.controller.connect("back", with_pid("db", 8)).unwrap();
    drop(after);
    let left = keys(&store);
    let count = |folder: &str| left.iter().filter(|key| key.starts_with(folder)).count();
    assert_eq!(
        (count("sandboxes/"), count("endpoints/"), count("fdb/")),
        (2, 2, 1)
    );
}

#[test]
fn sandboxes_end_with_the_boot_of_the_machine() {
    let store = store();
    populate(&restarted(&store));
    let rig = open_on(&store, host().booted(2)).unwrap();
    assert!(!rig.controller.reconcile());
    assert!(rig.controller.sandboxes().is_empty());
    assert_eq!(rig.controller.networks().len(), 6);
    assert_eq!(rig.controller.peers(None).unwrap().len(), 3);
    assert!(!keys(&store).iter().any(|key| key.starts_with("endpoints/")));
}

#[test]
fn what_cannot_be_made_waits_with_its_reason_and_is_tried_again() {
    let store = store();
    let before = restarted(&store);
    before.create(network("net"));
    let request = Connect {
        publish: vec!["8080:80".parse().unwrap()],
        ..with_pid("web", 7)
    };
    before.controller.connect("net", request).unwrap();
    let was = everything(&before);
    let endpoint = before.controller.endpoints().remove(0);
    drop(before);
    // Its namespace cannot be opened, and then its interface cannot be made.
    for failing in [0, 1] {
        let rig = open(&store);
        rig.datapath.fail_after(failing);
        assert!(rig.controller.reconcile());
        let waiting = rig.controller.endpoint(endpoint.id.as_str()).unwrap();
        assert_eq!(waiting.problem.as_deref(), Some("failure on request"));
        assert_eq!(
            (&waiting.ifname, waiting.mac),
            (&endpoint.ifname, endpoint.mac)
        );
        let port = rig.controller.port("net/web").unwrap();
        assert_eq!(port.state, PortState::Waiting);
        assert_eq!(rig.controller.network("net").unwrap().containers.len(), 1);
        assert_eq!(rig.datapath.published(), []);
        // Address and published port are not given to anybody else meanwhile.
        let request = Connect {
            publish: vec!["8080:80".parse().unwrap()],
            ..with_pid("other", 8)
        };
        assert!(rig.refusal("net", request).contains("is in use by net/web"));
        assert!(!rig.controller.reconcile());
        assert_eq!(everything(&rig), was);
    }
    // One that waits can be disconnected.
    let rig = open(&store);
    rig.datapath.fail_after(1);
    rig.controller.reconcile();
    rig.disconnect("net", "web");
    assert!(rig.controller.endpoints().is_empty());
    drop(rig);
    assert!(restarted(&store).controller.endpoints().is_empty());
}

#[test]
fn a_network_that_cannot_be_joined_waits_with_its_peers() {
    let store = store();
    let before = restarted(&store);
    populate(&before);
    let was = everything(&before);
    drop(before);
    let rig = open(&store);
    // The networks are joined in order of their ids: whichever is the first.
    rig.datapath.fail_after(0);
    assert!(rig.controller.reconcile());
    let networks = rig.controller.networks();
    let waiting = networks.iter().filter(|it| it.problem.is_some());
    assert_eq!(waiting.count(), 1);
    assert!(!rig.controller.reconcile());
    assert_eq!(everything(&rig), was);
}

#[test]
fn what_was_lost_without_a_report_is_made_again() {
    let store = store();
    let rig = restarted(&store);
    populate(&rig);
    let was = everything(&rig);
    for port in rig.datapath.ports() {
        rig.datapath.lose_port(port);
    }
    rig.datapath.set_published(&[]).unwrap();
    assert!(!rig.controller.reconcile());
    assert_eq!(everything(&rig), was);
    assert_eq!(rig.controller.stats().repairs["endpoints_connected"], 6);
    // A sandbox whose end nobody reported.
    rig.datapath.end_namespace(9);
    assert!(!rig.controller.reconcile());
    rig.controller.sandbox("tv").unwrap_err();
}

#[test]
fn what_is_left_of_a_removal_goes() {
    let store = store();
    populate(&restarted(&store));
    let network = keys(&store)
        .into_iter()
        .find(|key| key.starts_with("networks/"));
    store.delete(&Key::new(&network.unwrap()).unwrap()).unwrap();
    let rig = restarted(&store);
    assert_eq!(rig.controller.networks().len(), 5);
    drop(rig);
    let before = keys(&store);
    drop(restarted(&store));
    assert_eq!(
        keys(&store),
        before,
        "everything was cleared away the first time"
    );
}

#[test]
fn what_is_not_understood_is_refused_and_left_as_it_is() {
    let put = |store: &Arc<dyn Store>, key: &str, value: &str| {
        store
            .put(&Key::new(key).unwrap(), value.as_bytes().into())
            .unwrap();
    };
    let newer = store();
    put(&newer, "schema", r#"{"version":2}"#);
    let error = open_on(&newer, host()).err().unwrap();
    assert!(
        error.contains("has version 2") && error.contains("newer"),
        "{error}"
    );
    let foreign = store();
    put(&foreign, "networks/x", "{}");
    let error = open_on(&foreign, host()).err().unwrap();
    assert!(error.contains("no version"), "{error}");

    let store = store();
    populate(&restarted(&store));
    let before = keys(&store);
    let endpoint = before
        .iter()
        .find(|key| key.starts_with("endpoints/"))
        .unwrap();
    put(&store, endpoint, r#"{"id":"#);
    let error = open_on(&store, host()).err().unwrap();
    assert!(error.contains(endpoint.as_str()), "{error}");
    assert_eq!(keys(&store), before);
}
