//! What is told of what happens.

use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::api::{EventAction, EventActor, EventType, PeerAdd};
use crate::{Beginning, EventFilter, Subscription, Told};

/// Listens to everything.
pub(super) fn listen(rig: &Rig) -> Subscription {
    let events = rig.controller.events();
    events.subscribe(Beginning::Now, EventFilter::default())
}

/// Returns what was told so far, as `TYPE ACTION ACTOR`: the attribute that names the actor.
pub(super) async fn told(subscription: &mut Subscription) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(message) = tokio::time::timeout(Duration::ZERO, subscription.next()).await {
        let Some(Told::Event(event)) = message else {
            panic!("not an event: {message:?}");
        };
        let (kind, action) = (event.kind.as_str(), event.action.as_str());
        let attributes = &event.actor.attributes;
        let attribute = |name: &str| attributes.get(name).cloned().unwrap_or_default();
        let name = match event.kind {
            EventType::Sandbox => attribute("sandbox"),
            EventType::Endpoint => format!("{}/{}", attribute("network"), attribute("sandbox")),
            EventType::Network => attribute("network"),
            EventType::Peer => format!("{}/{}", attribute("network"), event.actor.id),
            EventType::Uplink | EventType::Underlay | EventType::Repair => event.actor.id.clone(),
        };
        told.push(format!("{kind} {action} {name}"));
    }
    told
}

#[tokio::test]
async fn what_comes_and_goes_is_told_in_order() {
    let rig = rig();
    let mut events = listen(&rig);
    rig.create(network("net"));
    rig.controller.connect("net", with_pid("web", 7)).unwrap();
    rig.controller.remove_network("net").unwrap_err();
    rig.controller.port_failed(rig.datapath.ports()[0]);
    rig.controller.connect("net", Connect::new("web")).unwrap();
    rig.controller.sandbox_ended(rig.datapath.sandboxes()[0]);
    rig.controller.remove_network("net").unwrap();
    let expected = [
        "network created net",
        "sandbox known web",
        "endpoint connected net/web",
        "endpoint failed net/web",
        "endpoint disconnected net/web",
        "endpoint connected net/web",
        "endpoint disconnected net/web",
        "sandbox ended web",
        "network removed net",
    ];
    assert_eq!(told(&mut events).await, expected);
}

#[tokio::test]
async fn what_fails_is_told_only_as_far_as_it_was_seen() {
    let rig = rig();
    rig.create(network("net"));
    let mut events = listen(&rig);
    // The sandbox becomes known before its interface is made, and is forgotten again.
    rig.datapath.fail_after(1);
    rig.controller
        .connect("net", with_pid("web", 7))
        .unwrap_err();
    assert_eq!(
        told(&mut events).await,
        ["sandbox known web", "sandbox ended web"]
    );
    rig.datapath.fail_after(0);
    rig.controller
        .connect("net", with_pid("web", 7))
        .unwrap_err();
    rig.datapath.fail_after(0);
    rig.controller.remove_network("net").unwrap_err();
    assert_eq!(told(&mut events).await, [""; 0]);
}

#[tokio::test]
async fn peers_are_told_of_when_they_come_are_heard_fall_silent_and_go() {
    let rig = rig();
    let far = CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(42),
        ..with_subnets("far", &["10.42.0.0/16"])
    };
    rig.create(far);
    let mut events = listen(&rig);
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let peer = PeerAdd {
        network: "far".to_owned(),
        address,
        port: None,
        subnets: Vec::new(),
    };
    rig.controller.add_peer(&peer).unwrap();
    rig.controller.look_around();
    assert_eq!(told(&mut events).await, ["peer added far/192.0.2.7"]);
    rig.datapath.silence(address, Duration::from_secs(59));
    rig.controller.look_around();
    rig.controller.look_around();
    assert_eq!(told(&mut events).await, ["peer heard far/192.0.2.7"]);
    rig.datapath.silence(address, Duration::from_mins(1));
    rig.controller.look_around();
    rig.controller.look_around();
    assert_eq!(told(&mut events).await, ["peer lost far/192.0.2.7"]);
    rig.datapath.silence(address, Duration::ZERO);
    rig.controller.look_around();
    rig.controller.remove_peer("far", address).unwrap();
    // One that is gone is not lost besides.
    rig.controller.look_around();
    assert_eq!(
        told(&mut events).await,
        ["peer heard far/192.0.2.7", "peer removed far/192.0.2.7"]
    );
}

#[tokio::test]
async fn a_change_of_the_uplink_is_told_once_and_its_beginning_never() {
    let rig = rig();
    let mut events = listen(&rig);
    rig.controller.look_around();
    assert_eq!(told(&mut events).await, [""; 0]);
    rig.datapath.cut_uplink();
    rig.controller.look_around();
    rig.controller.look_around();
    assert_eq!(told(&mut events).await, ["uplink changed none"]);
}

#[tokio::test]
async fn repairs_are_told_and_counted() {
    let rig = rig();
    let mut events = listen(&rig);
    rig.controller.tell_repair(EventActor::new("net/web"));
    assert_eq!(told(&mut events).await, ["repair done net/web"]);
    let counts = rig.controller.events().counts();
    assert_eq!(counts[&(EventType::Repair, EventAction::Done)], 1);
}
