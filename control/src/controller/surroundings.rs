//! What changes by itself and is only seen by looking: the uplink, the underlay, and which peers are heard.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::PoisonError;

use super::Controller;
use crate::Name;
use crate::api::{EventAction, EventActor, EventType, PeerStateView};
use crate::datapath::{UnderlayAddress, UplinkState};

/// What was seen the last time.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// None before the first look: what the daemon starts with is no change.
    outside: Option<(UplinkState, BTreeSet<Listening>)>,
    heard: BTreeSet<(Name, IpAddr)>,
}

/// An address that overlays listen on, and for what.
type Listening = (IpAddr, String, Option<u16>);

impl Controller {
    /// Looks at what changes by itself, and tells what is different since the last time. Call it every
    /// few seconds.
    pub fn look_around(&self) {
        let uplink = self.datapath.uplink();
        let underlay = self.datapath.underlay().addresses;
        let underlay = underlay.into_iter().map(listening).collect();
        // Without a network that is named, there is nothing to refuse.
        let peers = self.peers(None).unwrap_or_default();
        let known: BTreeSet<_> = peers
            .iter()
            .map(|it| (it.network.clone(), it.address))
            .collect();
        let heard = peers
            .into_iter()
            .filter(|it| it.state == PeerStateView::Heard);
        let heard = heard.map(|it| (it.network, it.address)).collect();

        let mut last = self
            .surroundings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((last_uplink, last_underlay)) = &last.outside {
            if *last_uplink != uplink {
                self.tell(
                    EventType::Uplink,
                    EventAction::Changed,
                    uplink_actor(&uplink),
                );
            }
            if *last_underlay != underlay {
                self.tell(
                    EventType::Underlay,
                    EventAction::Changed,
                    underlay_actor(&underlay),
                );
            }
        }
        for (network, peer) in last.heard.symmetric_difference(&heard) {
            let place = (network.clone(), *peer);
            if heard.contains(&place) {
                self.tell_peer(EventAction::Heard, network, *peer);
            } else if known.contains(&place) {
                self.tell_peer(EventAction::Lost, network, *peer);
            }
        }
        last.outside = Some((uplink, underlay));
        last.heard = heard;
    }
}

fn listening(at: UnderlayAddress) -> Listening {
    (at.address, at.encap, at.port)
}

fn uplink_actor(uplink: &UplinkState) -> EventActor {
    let mut actor = EventActor::new(uplink.kind.to_string()).with("missing", uplink.missing.len());
    if let Some(ifname) = &uplink.ifname {
        actor = actor.with("ifname", ifname);
    }
    let addresses: Vec<_> = uplink.addresses.iter().map(ToString::to_string).collect();
    actor.with("addresses", addresses.join(","))
}

fn underlay_actor(underlay: &BTreeSet<Listening>) -> EventActor {
    let addresses: BTreeSet<_> = underlay
        .iter()
        .map(|(address, ..)| address.to_string())
        .collect();
    let addresses: Vec<_> = addresses.into_iter().collect();
    EventActor::new("underlay").with("addresses", addresses.join(","))
}
