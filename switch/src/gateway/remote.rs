//! A host across a tunnel that has subnets of a network, and what comes from it.
//!
//! The way to such a host is a port that belongs to a network and is no member of its bridge: nothing is
//! flooded to it, no station is learned from it, and what comes from it is for the gateway. Who may send, and
//! with which source, was decided where the tunnel ends (`tapweave_encap::RouteTable`); here the packet is
//! routed: one hop less, to a host of the subnets that are here. It reaches neither the outside nor another
//! network nor a third host.
//!
//! As frames of tunnels never reach isolated ports, packets do not either, and a tunnel is in no VLAN.

use std::sync::Arc;

use tapweave_net::{Frame, MacAddr, ParsedFrame, PortNo, TagAction};

use super::RemoteConfig;
use super::handle::{Call, Next};
use super::packet::{Packet, is_forwardable};
use super::refusal::Refusal;
use super::step::GatewayStep;
use super::way::{Origin, Way};
use crate::DropReason;
use crate::counters::PortCounters;
use crate::decide::Trace;
use crate::snapshot::Network;

/// One host across a tunnel.
pub(crate) struct Remote {
    pub(crate) no: PortNo,
    pub(crate) network: Arc<Network>,
    pub(crate) config: Arc<RemoteConfig>,
    pub(crate) counters: Arc<PortCounters>,
}

/// Deals with a packet that came out of the tunnel from `remote`.
///
/// # Errors
///
/// Why it goes no further.
pub(super) fn handle<T: Trace>(
    call: &mut Call<'_, T>,
    remote: &Remote,
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
) -> Result<Next, Refusal> {
    let gateway = remote.network.gateway.as_deref();
    let gateway = gateway.ok_or(Refusal::NO_ROUTE)?;
    let packet = Packet::read(frame, parsed)?;
    if !is_forwardable(packet.src) || !is_forwardable(packet.dst) {
        return Err(DropReason::GatewayMartian.into());
    }
    if gateway.has(packet.dst) {
        return call.deliver(frame, parsed, &packet, gateway.config.mac, remote.no);
    }
    let network = &remote.network;
    call.send_inward(frame, parsed, &packet, network, packet.dst, Origin::Tunnel)
}

impl Remote {
    /// Returns the way to the host. Nobody looks at the addresses of its frames, which end here.
    #[inline]
    pub(super) fn way<T: Trace>(&self, call: &mut Call<'_, T>) -> Way {
        call.step(|| GatewayStep::Across { port: self.no });
        let RemoteConfig { tunnel, peer, .. } = &*self.config;
        let path = tunnel.inner_mtu(peer).unwrap_or_default();
        Way {
            port: self.no,
            tag: TagAction::Keep,
            dst: MacAddr::ZERO,
            src: MacAddr::ZERO,
            mtu: path.min(self.network.mtu),
        }
    }
}
