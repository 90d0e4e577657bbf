//! What exists, as the packet side sees it: immutable, made anew by each change.

use core::num::NonZeroU32;
use std::collections::BTreeMap;
use std::sync::Arc;

use tapweave_nat::table::Hint;
use tapweave_nat::{Nat, NatRules, Pass};
use tapweave_net::{MacAddr, NetworkNo, PortNo, Timestamp};

use crate::counters::PortCounters;
use crate::fdb::Fdb;
use crate::gateway::{Gateway, Hosts, Ingress, Router};
use crate::multicast::{PortSet, Snooping};
use crate::probing::AddressWatch;
use crate::service::{PortPlaces, Services};
use crate::storm::StormMeters;
use crate::{
    EgressPort, Flooding, FrameVlan, Guard, Isolation, PortVlans, Service, Stations, Suppression,
};

/// All ports and networks at one moment.
pub(crate) struct Snapshot {
    /// Grows by one with each change.
    pub(crate) generation: u64,
    /// By [`PortNo::index`].
    pub(crate) ports: Box<[Option<Port>]>,
    pub(crate) networks: BTreeMap<NetworkNo, Arc<Network>>,
    /// Between networks and uplinks.
    pub(crate) router: Router,
    /// None as long as there is no NAT.
    pub(crate) translator: Option<Translator>,
}

impl Snapshot {
    /// Returns the snapshot of a switch without networks.
    pub(crate) fn empty() -> Self {
        Self {
            generation: 0,
            ports: Box::default(),
            networks: BTreeMap::new(),
            router: Router::new(Vec::new(), &[], Vec::new()),
            translator: None,
        }
    }

    /// Returns a port, unless it is gone and its index unused or another port's.
    #[inline]
    pub(crate) fn port(&self, no: PortNo) -> Option<&Port> {
        let port = self.ports.get(no.index())?.as_ref()?;
        (port.no == no).then_some(port)
    }

    /// Returns where frames of this number come in.
    pub(crate) fn ingress(&self, no: PortNo) -> Option<Ingress<'_>> {
        let port = self.port(no).map(Ingress::Port);
        port.or_else(|| self.routed_ingress(no))
    }

    /// Returns where frames of this number come in that are all for a gateway.
    pub(crate) fn routed_ingress(&self, no: PortNo) -> Option<Ingress<'_>> {
        let mut uplinks = self.router.uplinks().iter();
        let uplink = uplinks.find(|uplink| uplink.no == no);
        let remote = || self.router.remote(no).map(Ingress::Remote);
        uplink.map(Ingress::Uplink).or_else(remote)
    }

    /// Returns the counters of a port, an uplink or a remote host.
    pub(crate) fn counters(&self, no: PortNo) -> Option<&PortCounters> {
        self.ingress(no).map(Ingress::counters)
    }
}

/// NAT, and the rules that it goes by now.
#[derive(Clone)]
pub(crate) struct Translator {
    pub(crate) nat: Arc<Nat>,
    pub(crate) rules: Arc<NatRules>,
}

impl Translator {
    /// Returns what one worker's packets have in common.
    pub(crate) fn pass(&self, now: Timestamp, worker: usize, hint: Hint) -> Pass<'_> {
        Pass {
            now,
            worker,
            rules: &self.rules,
            hint,
        }
    }
}

/// One port.
pub(crate) struct Port {
    pub(crate) no: PortNo,
    pub(crate) isolation: Isolation,
    pub(crate) vlans: PortVlans,
    pub(crate) guard: Option<Arc<Guard>>,
    pub(crate) stations: Stations,
    pub(crate) mac_limit: Option<NonZeroU32>,
    pub(crate) storm: Option<Arc<StormMeters>>,
    pub(crate) network: Arc<Network>,
    pub(crate) counters: Arc<PortCounters>,
    /// Its places at the services of the gateway.
    pub(crate) places: Arc<PortPlaces>,
}

/// One network with its ports.
pub(crate) struct Network {
    pub(crate) no: NetworkNo,
    /// Largest L3 packet, in bytes.
    pub(crate) mtu: u16,
    pub(crate) fdb: Arc<Fdb>,
    /// None where multicast is flooded.
    pub(crate) snooping: Option<Arc<Snooping>>,
    /// None for a network that the switch is no gateway of.
    pub(crate) gateway: Option<Arc<Gateway>>,
    /// The MAC of the gateway. Without one the broadcast address, which is compared to stations only.
    pub(crate) gateway_mac: MacAddr,
    /// What its gateway serves beside.
    pub(crate) services: Services,
    pub(crate) suppression: Suppression,
    /// The addresses that are about to be given away.
    pub(crate) address_watch: Arc<AddressWatch>,
    /// Whose addresses are known; empty without gateway and suppression.
    pub(crate) hosts: Hosts,
    /// In order of number.
    pub(crate) members: Box<[Member]>,
}

/// A port as its peers see it.
pub(crate) struct Member {
    pub(crate) port: PortNo,
    pub(crate) isolation: Isolation,
    pub(crate) flooding: Flooding,
    pub(crate) vlans: PortVlans,
    /// Whether an endpoint of this host is behind it, whose addresses are known.
    pub(crate) is_endpoint: bool,
}

impl Port {
    /// Tells whether the gateway is the DHCP server of those behind this port: not of other hosts, which have their own.
    #[inline]
    pub(crate) fn has_dhcp(&self) -> bool {
        self.network.services.has(Service::Dhcp) && self.isolation != Isolation::Tunnel
    }

    /// Returns the ports that a flooded frame from this one goes to, in order of number.
    pub(crate) fn flood_set(&self, vlan: FrameVlan) -> impl Iterator<Item = EgressPort> {
        let members = self.network.members.iter();
        members
            .filter(|member| {
                member.port != self.no
                    && member.flooding == Flooding::On
                    && self.isolation.permits(member.isolation)
            })
            .filter_map(move |member| {
                let tag = member.vlans.egress(vlan)?;
                Some(EgressPort {
                    port: member.port,
                    tag,
                })
            })
    }

    /// Returns those of `ports` that a frame from this one goes to, in order of number.
    pub(crate) fn group_set<'s>(
        &'s self,
        snapshot: &'s Snapshot,
        vlan: FrameVlan,
        ports: &'s PortSet,
    ) -> impl Iterator<Item = EgressPort> + 's {
        // Numbers are unique in the switch, but a port that has just been removed is not there.
        let ports = ports.iter().filter(|port| *port != self.no);
        ports.filter_map(move |port| {
            let port = snapshot.port(port)?;
            if !self.isolation.permits(port.isolation) {
                return None;
            }
            let tag = port.vlans.egress(vlan)?;
            Some(EgressPort { port: port.no, tag })
        })
    }
}
