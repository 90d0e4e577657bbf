//! Many clients at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use super::peers::{overlay, peer};
use super::*;

#[test]
fn fifty_clients_get_fifty_different_addresses_and_leave_nothing() {
    let rig = rig();
    rig.create(network("net"));
    let ends = thread::scope(|scope| {
        let clients: Vec<_> = (0..50)
            .map(|n| {
                let controller = &rig.controller;
                scope.spawn(move || {
                    let name = format!("sandbox-{n}");
                    controller.connect("net", with_pid(&name, n)).unwrap()
                })
            })
            .collect();
        let ends = clients.into_iter().map(|client| client.join().unwrap());
        ends.collect::<Vec<_>>()
    });
    let addresses: BTreeSet<_> = ends.iter().map(|end| end.addresses[0]).collect();
    let macs: BTreeSet<_> = ends.iter().map(|end| end.mac).collect();
    assert_eq!((addresses.len(), macs.len()), (50, 50));
    thread::scope(|scope| {
        for sandbox in rig.datapath.sandboxes() {
            let controller = &rig.controller;
            scope.spawn(move || controller.sandbox_ended(sandbox));
        }
    });
    rig.controller.remove_network("net").unwrap();
    assert_eq!(rig.datapath.population(), Population::default());
}

#[test]
fn of_many_who_want_the_same_one_wins() {
    let rig = rig();
    rig.create(network("net"));
    let won = |request: &(dyn Fn(u32) -> bool + Sync)| {
        let won = AtomicUsize::new(0);
        thread::scope(|scope| {
            for n in 0..8 {
                let won = &won;
                scope.spawn(move || won.fetch_add(usize::from(request(n)), Ordering::SeqCst));
            }
        });
        won.into_inner()
    };
    let controller = &rig.controller;
    // The same name of a network.
    assert_eq!(
        won(&|_| controller.create_network(network("same")).is_ok()),
        1
    );
    // The same subnet.
    let subnet = |n| with_subnets(&format!("s-{n}"), &["10.9.0.0/24"]);
    assert_eq!(won(&|n| controller.create_network(subnet(n)).is_ok()), 1);
    // The same sandbox.
    let same_name = |n| controller.connect("net", with_pid("web", n)).is_ok();
    assert_eq!(won(&same_name), 1);
    // The same namespace under different names.
    let same_namespace = |n| {
        let request = with_pid(&format!("name-{n}"), 77);
        controller.connect("net", request).is_ok()
    };
    assert_eq!(won(&same_namespace), 1);
    // The same address.
    let same_address = |n| {
        let request = Connect {
            ip: Some("10.192.0.200".parse().unwrap()),
            ..with_pid(&format!("address-{n}"), 100 + n)
        };
        controller.connect("net", request).is_ok()
    };
    assert_eq!(won(&same_address), 1);
    assert_eq!(
        rig.datapath.population(),
        Population {
            networks: 3,
            sandboxes: 3,
            ports: 3
        }
    );
}

#[test]
fn a_network_is_either_removed_or_in_use() {
    for round in 0..50 {
        let rig = rig();
        rig.create(network("net"));
        let (connected, removed) = thread::scope(|scope| {
            let connect = scope.spawn(|| rig.controller.connect("net", with_pid("web", 7)).is_ok());
            let remove = scope.spawn(|| rig.controller.remove_network("net").is_ok());
            (connect.join().unwrap(), remove.join().unwrap())
        });
        assert_ne!(connected, removed, "round {round}");
        let expected = usize::from(connected);
        let population = rig.datapath.population();
        assert_eq!(population.networks, expected);
        assert_eq!(
            (population.sandboxes, population.ports),
            (expected, expected)
        );
    }
}

#[test]
fn a_sandbox_that_ends_while_it_is_connected_leaves_nothing() {
    for _ in 0..50 {
        let rig = rig();
        rig.create(network("one"));
        rig.create(network("two"));
        rig.controller.connect("one", with_pid("web", 7)).unwrap();
        let number = rig.datapath.sandboxes()[0];
        thread::scope(|scope| {
            scope.spawn(|| rig.controller.connect("two", Connect::new("web")).is_ok());
            scope.spawn(|| rig.controller.sandbox_ended(number));
        });
        assert!(rig.controller.sandboxes().is_empty());
        assert_eq!(rig.datapath.population().ports, 0);
        rig.controller.remove_network("two").unwrap();
    }
}

#[test]
fn a_port_that_fails_while_it_is_made_leaves_no_endpoint() {
    for round in 0..500 {
        let rig = rig();
        rig.create(network("net"));
        thread::scope(|scope| {
            scope.spawn(|| rig.controller.connect("net", with_pid("web", 7)).unwrap());
            scope.spawn(|| {
                let port = loop {
                    if let Some(&port) = rig.datapath.ports().first() {
                        break port;
                    }
                };
                rig.controller.port_failed(port);
            });
        });
        assert!(rig.controller.endpoints().is_empty(), "round {round}");
        assert_eq!(rig.datapath.population().ports, 0);
    }
}

#[test]
fn audits_leave_alone_what_requests_make_meanwhile() {
    let rig = rig();
    rig.create(network("net"));
    rig.create(overlay("far", 7));
    thread::scope(|scope| {
        let controller = &rig.controller;
        let clients: Vec<_> = (0..4)
            .map(|n| scope.spawn(move || come_and_go(controller, n)))
            .collect();
        while !clients.iter().all(ScopedJoinHandle::is_finished) {
            controller.reconcile();
        }
        for client in clients {
            client.join().unwrap();
        }
    });
    // What a request is taking away may be taken away by an audit as well; nothing may be made twice.
    let mut repairs = rig.controller.stats().repairs;
    repairs.retain(|repair, _| !repair.ends_with("_removed") && !repair.ends_with("_released"));
    assert_eq!(repairs, BTreeMap::new());
    let left = Population {
        networks: 2,
        ..Population::default()
    };
    assert_eq!(rig.datapath.population(), left);
}

/// Makes and takes away one of everything, many times, and looks whether it stays as it was made.
fn come_and_go(controller: &Controller, n: u32) {
    let host = format!("192.0.2.{}", n + 1);
    for _ in 0..100 {
        let name = format!("net-{n}");
        controller.create_network(network(&name)).unwrap();
        for net in ["net", &name] {
            let sandbox = format!("sandbox-{n}");
            let made = controller.connect(net, with_pid(&sandbox, n)).unwrap();
            thread::yield_now();
            let shown = controller.endpoint(made.id.as_str()).unwrap();
            assert_eq!(shown.problem, None);
            controller.remove_sandbox(&sandbox).unwrap();
        }
        controller.remove_network(&name).unwrap();
        controller.add_peer(&peer("far", &host)).unwrap();
        let address = host.parse().unwrap();
        controller.remove_peer("far", address).unwrap();
    }
}
