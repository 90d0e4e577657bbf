//! A port that leads out, as the packet side sees it.

use core::net::IpAddr;
use std::sync::Arc;

use tapweave_net::{MacAddr, PortNo};

use crate::counters::PortCounters;
use crate::{UplinkConfig, UplinkKind};

/// One uplink.
pub(crate) struct Uplink {
    pub(crate) no: PortNo,
    pub(crate) config: Arc<UplinkConfig>,
    pub(crate) counters: Arc<PortCounters>,
}

impl Uplink {
    /// Tells whether the switch has this address there.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.config
            .addresses
            .iter()
            .any(|own| own.addr() == address)
    }

    /// Returns the MAC address of the switch on the LAN; none where there is no LAN.
    pub(crate) fn mac(&self) -> Option<MacAddr> {
        match &self.config.kind {
            UplinkKind::PointToPoint => None,
            UplinkKind::Lan { mac, .. } => Some(*mac),
        }
    }
}
