//! Interfaces that were taken up from an earlier daemon, after somebody has changed their addresses.

use super::telling::{listen, told};
use super::*;
use crate::api::{EventAction, EventType};
use crate::datapath::{Addressing, ObservedAddress};
use crate::{Beginning, EventFilter, Told};

const OURS: [&str; 2] = ["10.0.0.2/24", "fd00::2/64"];

/// Returns a rig with a sandbox that has [`OURS`], and gateways.
fn connected(request: Connect) -> Rig {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/24", "fd00::/64"]));
    rig.controller.connect("net", request).unwrap();
    rig
}

impl Rig {
    /// Takes the only port up, whose interface has these addresses, and returns those that it has after the look.
    fn take_up(&self, addresses: &[&str]) -> Vec<String> {
        let port = self.datapath.ports()[0];
        let permanent = |text: &&str| ObservedAddress {
            net: text.parse().unwrap(),
            is_permanent: true,
        };
        let addresses = addresses.iter().map(permanent);
        self.datapath.take_up(port, addresses.collect());
        self.controller.tend_taken_up();
        self.there()
    }

    fn there(&self) -> Vec<String> {
        let port = self.datapath.ports()[0];
        let there = crate::datapath::Datapath::interface_addresses(&*self.datapath, port);
        let there = there.unwrap().into_iter();
        there.map(|it| it.net.to_string()).collect()
    }

    fn repairs(&self) -> Vec<(String, u64)> {
        self.controller.repairs().into_iter().collect()
    }
}

fn counted(repairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    let repairs = repairs.iter();
    repairs.map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

#[tokio::test]
async fn what_is_as_it_was_given_is_no_news() {
    let rig = connected(with_pid("web", 7));
    let mut events = listen(&rig);
    assert_eq!(rig.take_up(&OURS), OURS);
    assert_eq!(told(&mut events).await, [""; 0]);
    assert_eq!(rig.repairs(), []);
}

#[tokio::test]
async fn an_address_that_is_missing_is_put_back_with_its_route_counted_and_told() {
    let rig = connected(with_pid("web", 7));
    let mut events = listen(&rig);
    let there = rig.take_up(&["fd00::2/64"]);
    assert_eq!(there, ["fd00::2/64", "10.0.0.2/24"]);
    let port = rig.datapath.ports()[0];
    let gateways = rig.datapath.default_gateways(port);
    assert_eq!(gateways, ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let repairs = [("addresses_put_back", 1), ("default_routes_put_back", 1)];
    assert_eq!(rig.repairs(), counted(&repairs));
    let id = rig.controller.endpoints()[0].id.clone();
    let repair = format!("repair done {id}");
    let expected = ["endpoint changed net/web", &repair, &repair];
    assert_eq!(told(&mut events).await, expected);
}

#[tokio::test]
async fn an_address_that_nobody_gave_stays_and_is_told() {
    let rig = connected(with_pid("web", 7));
    let events = rig.controller.events();
    let mut events = events.subscribe(Beginning::Now, EventFilter::default());
    let there = rig.take_up(&["10.0.0.9/24", "fd00::2/64"]);
    assert_eq!(there, ["10.0.0.9/24", "fd00::2/64", "10.0.0.2/24"]);
    let Some(Told::Event(event)) = events.next().await else {
        panic!("nothing was told");
    };
    let (kind, action) = (event.kind, event.action);
    assert_eq!((kind, action), (EventType::Endpoint, EventAction::Changed));
    assert_eq!(event.actor.attributes["missing"], "10.0.0.2/24");
    assert_eq!(event.actor.attributes["foreign"], "10.0.0.9/24");
    assert_eq!(event.actor.attributes["sandbox"], "web");
    let Some(Told::Event(event)) = events.next().await else {
        panic!("no repair was told");
    };
    assert_eq!(event.kind, EventType::Repair);
    assert_eq!(event.actor.attributes["repair"], "addresses_put_back");
    assert_eq!(event.actor.attributes["put_back"], "10.0.0.2/24");
    let repairs = rig.controller.repairs();
    assert_eq!(repairs["foreign_addresses_left"], 1);
}

#[test]
fn an_endpoint_that_does_not_know_of_its_port_yet_is_looked_after_too() {
    let rig = connected(with_pid("web", 7));
    let id = rig.controller.endpoints()[0].id.clone();
    let mut model = rig.controller.model();
    model.unseat_endpoint(&id, "its port is being made".to_owned());
    drop(model);
    assert_eq!(rig.take_up(&["fd00::2/64"]), ["fd00::2/64", "10.0.0.2/24"]);
    assert_eq!(rig.repairs()[0], ("addresses_put_back".to_owned(), 1));
}

#[test]
fn what_is_changed_after_the_look_is_not_fought_with() {
    let rig = connected(with_pid("web", 7));
    rig.take_up(&OURS);
    let port = rig.datapath.ports()[0];
    // Taken away after the look.
    rig.datapath.take_up(port, Vec::new());
    crate::datapath::Datapath::taken_up(&*rig.datapath);
    rig.controller.tend_taken_up();
    assert!(!rig.controller.reconcile());
    assert_eq!(rig.there(), [""; 0]);
    assert_eq!(rig.repairs(), []);
}

#[test]
fn an_interface_that_asks_for_its_addresses_gets_none() {
    let rig = connected(Connect {
        addressing: Addressing::Dhcp,
        ..with_pid("web", 7)
    });
    assert_eq!(rig.take_up(&[]), [""; 0]);
    assert_eq!(rig.take_up(&["10.0.0.2/24"]), ["10.0.0.2/24"]);
    assert_eq!(rig.repairs(), []);
}

#[test]
fn what_a_sandbox_may_have_besides_is_no_news() {
    let rig = connected(Connect {
        allow_addresses: vec!["10.0.0.128/25".parse().unwrap()],
        ..with_pid("web", 7)
    });
    let there = [OURS[0], OURS[1], "10.0.0.200/24"];
    assert_eq!(rig.take_up(&there), there);
    assert_eq!(rig.repairs(), []);
}

#[tokio::test]
async fn what_is_refused_or_cannot_be_seen_changes_nothing() {
    let rig = connected(with_pid("web", 7));
    let mut events = listen(&rig);
    // The look itself.
    rig.datapath.fail_after(0);
    rig.take_up(&[]);
    assert_eq!(told(&mut events).await, [""; 0]);
    // The first of two addresses, by which the other is not kept.
    rig.datapath.fail_after(1);
    assert_eq!(rig.take_up(&[]), ["fd00::2/64"]);
    let repairs = [("addresses_put_back", 1), ("default_routes_put_back", 1)];
    assert_eq!(rig.repairs(), counted(&repairs));
    // A port that has gone since.
    rig.datapath.take_up(rig.datapath.ports()[0], Vec::new());
    rig.disconnect("net", "web");
    rig.controller.tend_taken_up();
    assert_eq!(rig.repairs(), counted(&repairs));
}
