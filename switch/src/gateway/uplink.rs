//! A port that leads out, as the packet side sees it.

use core::net::IpAddr;
use std::sync::Arc;

use tapweave_net::{MacAddr, ParsedFrame, PortNo};

use super::error_meter;
use super::neighbor::Neighbors;
use super::prefix::{Prefix, bits};
use crate::counters::PortCounters;
use crate::meter::Meter;
use crate::{UplinkConfig, UplinkKind};

/// One uplink.
#[derive(Clone)]
pub(crate) struct Uplink {
    pub(crate) no: PortNo,
    pub(crate) config: Arc<UplinkConfig>,
    pub(crate) counters: Arc<PortCounters>,
    /// Who is on its LAN; empty where there is none.
    pub(crate) neighbors: Arc<Neighbors>,
    /// Counts ICMP errors to the outside.
    pub(crate) errors: Arc<Meter>,
}

impl Uplink {
    /// Returns an uplink that knows nobody on its LAN, and whose hashes have this seed.
    pub(crate) fn new(
        no: PortNo,
        config: UplinkConfig,
        counters: Arc<PortCounters>,
        seed: u64,
    ) -> Self {
        Self {
            no,
            config: Arc::new(config),
            counters,
            neighbors: Arc::new(Neighbors::new(seed)),
            errors: Arc::new(error_meter()),
        }
    }

    /// Tells whether the switch has this address there.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.config
            .addresses
            .iter()
            .any(|own| own.addr() == address)
    }

    /// Returns an address that the switch has there, of the family of `like`.
    pub(super) fn address_like(&self, like: IpAddr) -> Option<IpAddr> {
        let mut own = self.config.addresses.iter().map(ipnet::IpNet::addr);
        own.find(|own| own.is_ipv4() == like.is_ipv4())
    }

    /// Returns the MAC address of the switch on the LAN; none where there is no LAN.
    pub(crate) fn mac(&self) -> Option<MacAddr> {
        match &self.config.kind {
            UplinkKind::PointToPoint => None,
            UplinkKind::Lan { mac, .. } => Some(*mac),
        }
    }

    /// Returns the MAC address that answers a frame from there: where there is no LAN, the one it was sent to.
    pub(super) fn answering_mac(&self, frame: &ParsedFrame) -> MacAddr {
        self.mac().unwrap_or_else(|| frame.dst())
    }

    /// Returns who takes a packet for `dst` on the LAN: itself when it is there, else the router.
    pub(super) fn next_hop(&self, dst: IpAddr) -> Option<IpAddr> {
        if self.is_on_link(dst) {
            return Some(dst);
        }
        let UplinkKind::Lan { next_hops, .. } = &self.config.kind else {
            return None;
        };
        let mut hops = next_hops.iter().copied();
        hops.find(|hop| hop.is_ipv4() == dst.is_ipv4())
    }

    /// Tells whether an address is on the LAN.
    pub(super) fn is_on_link(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        let mut subnets = self.config.addresses.iter().map(|own| Prefix::new(*own));
        subnets.any(|subnet| subnet.contains(bits))
    }
}
