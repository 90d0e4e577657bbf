//! A daemon that starts again on what an earlier one stored.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tapweave_store::{Key, Prefix};

use super::*;
use crate::Host;
use crate::api::{DnsQuestion, DnsRecordAdd, NeighborAdd, PeerAdd, PortState};
use crate::datapath::{Datapath, ReservedPort, Transport};

/// Returns why what is stored cannot be opened.
fn refusal(store: &Arc<dyn Store>) -> String {
    let error = open_on(store, host()).err().unwrap();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
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
        controller.dns_records(None).unwrap(),
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
    for address in ["10.9.0.200", "2001:db8::9"] {
        rig.controller
            .dns_add(&DnsRecordAdd {
                network: "wide".to_owned(),
                name: "db.far".parse().unwrap(),
                address: address.parse().unwrap(),
            })
            .unwrap();
    }
}

/// Returns whether the resolver of a network answers for `name`.
fn resolves(rig: &Rig, network: &str, name: &str) -> bool {
    let question = DnsQuestion {
        name: name.to_owned(),
        kind: Some("A".to_owned()),
    };
    let answer = rig.controller.dns_query(network, &question).unwrap();
    !answer.records.is_empty()
}

#[test]
fn everything_is_as_it_was() {
    let store = store();
    let before = restarted(&store);
    populate(&before);
    let (stored, was) = (keys(&store), everything(&before));
    // 6 networks, 3 sandboxes, 6 endpoints, 3 peers, 2 stations, 1 neighbour, 2 names and the version.
    assert_eq!(stored.len(), 24, "{stored:#?}");
    drop(before);
    let after = restarted(&store);
    assert_eq!(everything(&after), was);
    assert_eq!(keys(&store), stored);
    assert!(resolves(&after, "wide", "db.far"));
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
fn everything_is_as_it_was_whatever_the_time_of_day_is() {
    let store = store();
    let before = restarted(&store);
    populate(&before);
    let (stored, was) = (keys(&store), everything(&before));
    drop(before);
    let year = Duration::from_hours(365 * 24);
    let now = host().unix_time();
    for time in [now + year, now.saturating_sub(year), Duration::ZERO] {
        let host = host();
        host.set_unix_time(time);
        let after = open_on(&store, host).unwrap();
        assert!(!after.controller.reconcile());
        assert_eq!(everything(&after), was, "at {time:?}");
        assert_eq!(keys(&store), stored);
        assert_eq!(
            after.controller.stats().repairs.get("sandboxes_ended"),
            None
        );
    }
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
    let name = "db.far".parse().unwrap();
    controller.dns_del("wide", &name, Some(address)).unwrap();
    controller.dns_del("wide", &name, None).unwrap();
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
    assert!(!left.iter().any(|key| key.starts_with("names/")));
}

#[test]
fn a_sandbox_that_ended_meanwhile_is_gone_with_its_records() {
    let store = store();
    let before = restarted(&store);
    populate(&before);
    drop(before);
    let after = rig_on(&store);
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

#[tokio::test]
async fn a_sandbox_whose_namespace_was_renamed_meanwhile_goes_on_by_the_new_path() {
    let store = store();
    let before = restarted(&store);
    before.create(network("net"));
    let path = |name: &str| PathBuf::from("/run/netns").join(name);
    let connect = |rig: &Rig, name: &str, at: PathBuf| {
        let request = Connect {
            namespace: Some(NamespaceRef::Path(at)),
            ..Connect::new(name)
        };
        rig.controller.connect("net", request).unwrap()
    };
    let had = connect(&before, "web", path("7"));
    connect(&before, "db", path("8"));
    connect(&before, "tv", path("9"));
    connect(&before, "away", path("10"));
    drop(before);
    let after = rig_on(&store);
    let mut events = telling::listen(&after);
    let rename = |from: &str, to: PathBuf| after.datapath.rename_namespace(&path(from), &to);
    // One has another name, two have changed theirs, and one is found nowhere near.
    rename("7", path("blue"));
    rename("8", path("x"));
    rename("9", path("8"));
    rename("x", path("9"));
    rename("10", "/elsewhere/10".into());
    // A daemon that takes over opens namespaces before the other one has ended.
    after.controller.prepare();
    assert!(!after.controller.reconcile());
    let sandboxes = after.controller.sandboxes();
    let places: Vec<_> = sandboxes
        .iter()
        .map(|it| (it.name.as_str(), it.namespace.clone()))
        .collect();
    let at = |name: &str| NamespaceRef::Path(path(name));
    let expected = [("db", at("9")), ("tv", at("8")), ("web", at("blue"))];
    assert_eq!(places, expected);
    let has = after.controller.endpoint(had.id.as_str()).unwrap();
    assert_eq!((has.addresses, has.mac), (had.addresses, had.mac));
    let repairs = after.controller.stats().repairs;
    assert_eq!(repairs["sandboxes_moved"], 3);
    assert_eq!(repairs["sandboxes_ended"], 1);
    let news = telling::told(&mut events).await;
    let told = |what: &str| news.iter().filter(|it| *it == what).count();
    assert_eq!(told("sandbox changed web"), 1, "{news:?}");
    // Once for the new path and once for what was opened.
    assert_eq!(told("repair done web"), 2, "{news:?}");
    assert_eq!(told("sandbox ended away"), 1, "{news:?}");
    // And by that path from now on.
    drop(after);
    let last = rig_on(&store);
    last.datapath.rename_namespace(&path("7"), &path("blue"));
    last.datapath.rename_namespace(&path("8"), &path("x"));
    last.datapath.rename_namespace(&path("9"), &path("8"));
    last.datapath.rename_namespace(&path("x"), &path("9"));
    assert!(!last.controller.reconcile());
    assert_eq!(last.controller.sandboxes(), sandboxes);
    assert_eq!(last.controller.stats().repairs.get("sandboxes_moved"), None);
}

#[test]
fn another_namespace_with_the_inode_of_the_one_that_was_is_not_taken_for_it() {
    let store = store();
    let before = restarted(&store);
    before.create(network("net"));
    let request = Connect {
        namespace: Some(NamespaceRef::Path("/run/netns/7".into())),
        ..Connect::new("web")
    };
    before.controller.connect("net", request).unwrap();
    drop(before);
    let after = rig_on(&store);
    let to = Path::new("/run/netns/blue");
    after
        .datapath
        .rename_namespace(Path::new("/run/netns/7"), to);
    after.datapath.replace_namespace(7);
    assert!(!after.controller.reconcile());
    assert!(after.controller.sandboxes().is_empty());
    assert_eq!(after.datapath.population().sandboxes, 0);
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
        let rig = rig_on(&store);
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
    let rig = rig_on(&store);
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
    let rig = rig_on(&store);
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
    let error = refusal(&newer);
    assert!(
        error.contains("has version 2") && error.contains("newer"),
        "{error}"
    );
    let foreign = store();
    put(&foreign, "networks/x", "{}");
    let error = refusal(&foreign);
    assert!(error.contains("no version"), "{error}");

    let store = store();
    populate(&restarted(&store));
    let before = keys(&store);
    let endpoint = before
        .iter()
        .find(|key| key.starts_with("endpoints/"))
        .unwrap();
    put(&store, endpoint, r#"{"id":"#);
    let error = refusal(&store);
    assert!(error.contains(endpoint.as_str()), "{error}");
    assert_eq!(keys(&store), before);
}

fn count(store: &Arc<dyn Store>, folder: &str) -> usize {
    let keys = keys(store);
    keys.iter().filter(|key| key.starts_with(folder)).count()
}

/// Connects a new sandbox and returns its addresses and its MAC.
fn connected(rig: &Rig, name: &str, pid: u32) -> (Vec<ipnet::IpNet>, tapweave_net::MacAddr) {
    let endpoint = rig.controller.connect("net", with_pid(name, pid)).unwrap();
    (endpoint.addresses, endpoint.mac)
}

#[test]
fn a_sandbox_that_comes_back_after_a_restart_has_its_addresses_and_its_mac_again() {
    let store = store();
    let before = restarted(&store);
    before.create(CreateNetwork {
        ipv6: true,
        ..network("net")
    });
    let names = ["web", "db", "tv"];
    let had: Vec<_> = (7..)
        .zip(names)
        .map(|(pid, name)| connected(&before, name, pid))
        .collect();
    // One ended before the restart, one ends meanwhile, and the last one with the machine.
    before.controller.remove_sandbox("web").unwrap();
    assert_eq!(count(&store, "resting/"), 2);
    drop(before);
    let after = rig_on(&store);
    after.datapath.end_namespace(8);
    assert!(!after.controller.reconcile());
    drop(after);
    let last = open_on(&store, host().booted(2)).unwrap();
    assert_eq!(count(&store, "resting/"), 6);
    let stranger = connected(&last, "stranger", 20);
    for ((pid, name), had) in (30..).zip(names).zip(&had) {
        assert_ne!(stranger.0, had.0, "it was handed out at once");
        assert_eq!(connected(&last, name, pid), *had, "{name}");
    }
    assert_eq!(count(&store, "resting/"), 0);
    // What rests goes with the network.
    last.controller.remove_sandbox("web").unwrap();
    for name in ["db", "tv", "stranger"] {
        last.controller.remove_sandbox(name).unwrap();
    }
    assert_eq!(count(&store, "resting/"), 8);
    last.controller.remove_network("net").unwrap();
    assert_eq!(keys(&store), ["schema"]);
}

#[test]
fn addresses_are_given_in_the_order_of_their_release_after_a_restart_too() {
    let store = store();
    let before = restarted(&store);
    before.create(with_subnets("net", &["10.1.0.0/29"]));
    let had: Vec<_> = (0..5)
        .map(|n| connected(&before, &format!("s{n}"), 10 + n).0)
        .collect();
    for n in [3, 0, 4, 1] {
        before.controller.remove_sandbox(&format!("s{n}")).unwrap();
    }
    drop(before);
    let after = restarted(&store);
    for (pid, n) in (20..).zip([3, 0, 4]) {
        let given = connected(&after, &format!("t{pid}"), pid).0;
        assert_eq!(given, had[n], "t{pid}");
    }
    assert_eq!(connected(&after, "s1", 40).0, had[1]);
}

#[test]
fn no_more_is_stored_of_released_addresses_than_is_remembered() {
    let store = store();
    let rig = restarted(&store);
    rig.create(with_subnets("net", &["10.1.0.0/16"]));
    for n in 0..4_100 {
        connected(&rig, &format!("s{n}"), 7);
        rig.controller.remove_sandbox(&format!("s{n}")).unwrap();
    }
    assert_eq!(count(&store, "resting/"), 4_096);
    let key = format!(
        "resting/{}/10.1.0.2",
        rig.controller.network("net").unwrap().id
    );
    assert!(!keys(&store).contains(&key), "the first one is forgotten");
}

#[tokio::test]
async fn a_port_that_the_host_has_taken_meanwhile_waits_until_it_is_free_and_then_stays() {
    let store = store();
    {
        let rig = rig_on(&store);
        rig.create(with_subnets("net", &["10.0.0.0/24"]));
        let request = Connect {
            publish: vec!["8080:80".parse().unwrap(), "9090:90".parse().unwrap()],
            ..with_pid("web", 7)
        };
        rig.controller.connect("net", request).unwrap();
    }
    let taken = vec![ReservedPort {
        transport: Transport::Tcp,
        address: "192.0.2.1:8080".parse().unwrap(),
        holder: Some("nginx (pid 9)".to_owned()),
    }];
    let rig = rig_on(&store);
    rig.datapath.reserve(taken.clone());
    let mut events = telling::listen(&rig);
    for _ in 0..2 {
        assert!(rig.controller.reconcile(), "it does not wait");
    }
    let published = || -> Vec<u16> {
        let ports = rig.datapath.published();
        ports.iter().map(|it| it.host_ports.first()).collect()
    };
    assert_eq!(published(), [9090]);
    let news = telling::told(&mut events).await;
    let held_up = news.iter().filter(|it| *it == "endpoint held_up net/web");
    assert_eq!(held_up.count(), 1, "{news:?}");
    let port = rig.controller.port("net/web").unwrap();
    assert_eq!((port.state, port.endpoint.problem), (PortState::Up, None));
    let shown: Vec<_> = port
        .endpoint
        .published
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shown,
        ["0.0.0.0:8080->80/tcp (waiting)", "0.0.0.0:9090->90/tcp"]
    );
    assert_eq!(
        port.endpoint.published[0].problem.as_deref(),
        Some("tcp port 0.0.0.0:8080 is in use by nginx (pid 9) on the host")
    );
    // Nobody else gets it.
    let other = Connect {
        publish: vec!["8080:80".parse().unwrap()],
        ..with_pid("db", 8)
    };
    assert_eq!(
        rig.refusal("net", other),
        "tcp port 0.0.0.0:8080 is in use by net/web"
    );

    rig.datapath.reserve(Vec::new());
    assert!(!rig.controller.reconcile());
    assert_eq!(published(), [8080, 9090]);
    let news = telling::told(&mut events).await;
    // After what the refusal told.
    let expected = ["endpoint published net/web", "repair done published"];
    assert_eq!(news[news.len() - 2..], expected);
    // A program that comes now takes nothing away.
    rig.datapath.reserve(taken);
    assert!(!rig.controller.reconcile());
    assert_eq!(published(), [8080, 9090]);
}
