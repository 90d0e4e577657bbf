//! What the gateway does with a frame that the decision left to it.

use tapweave_net::{EtherType, Frame, ParsedFrame, PortNo, Timestamp};

use super::answer::answer_arp;
use crate::pipeline::Pipeline;
use crate::snapshot::{Port, Snapshot};
use crate::{DropReason, EgressPort};

use super::{Gateway, Uplink};

impl Pipeline {
    /// Bytes of headroom that an answer may take: what an ICMP error over IPv6 is longer than a packet
    /// without payload, and a VLAN tag.
    pub const GATEWAY_HEADROOM: usize = 52;

    /// Carries out [`Verdict::Gateway`](crate::Verdict::Gateway): answers or forwards a frame that came in
    /// from `ingress`, in its own buffer.
    ///
    /// Returns the port to which the frame, changed, has to be sent now; none when that was all: the frame
    /// was dropped, which is counted, or noted. Frames beyond that one, the fragments of a packet, are given to
    /// `emit`, for the time of the call only. Wants [`Pipeline::GATEWAY_HEADROOM`] bytes of headroom. Call it
    /// before the next batch.
    pub fn handle_gateway(
        &self,
        _now: Timestamp,
        ingress: PortNo,
        frame: &mut Frame<'_>,
        _emit: &mut dyn FnMut(EgressPort, &mut Frame<'_>),
    ) -> Option<EgressPort> {
        let snapshot = self.snapshot();
        let outcome = match snapshot.port(ingress) {
            Some(port) => from_port(snapshot, port, frame),
            None => from_uplink(snapshot.uplink(ingress)?, frame),
        };
        match outcome {
            Ok(egress) => Some(egress),
            Err(reason) => {
                self.count_gateway_drop(ingress, reason);
                None
            }
        }
    }
}

fn from_port(
    _snapshot: &Snapshot,
    port: &Port,
    frame: &mut Frame<'_>,
) -> Result<EgressPort, DropReason> {
    let gateway: &Gateway = port
        .network
        .gateway
        .as_deref()
        .ok_or(DropReason::PortGone)?;
    let parsed =
        ParsedFrame::parse(frame.data()).map_err(|_malformed| DropReason::GatewayMalformed)?;
    let mac = gateway.config.mac;
    let is_answer = parsed.ethertype() == EtherType::ARP
        && answer_arp(frame, &parsed, mac, |address| gateway.has(address));
    if is_answer {
        return Ok(EgressPort::unchanged(port.no));
    }
    Err(DropReason::GatewayNoRoute)
}

fn from_uplink(uplink: &Uplink, frame: &mut Frame<'_>) -> Result<EgressPort, DropReason> {
    let parsed =
        ParsedFrame::parse(frame.data()).map_err(|_malformed| DropReason::GatewayMalformed)?;
    let is_answer = uplink.mac().is_some_and(|mac| {
        parsed.ethertype() == EtherType::ARP
            && answer_arp(frame, &parsed, mac, |address| uplink.has(address))
    });
    if is_answer {
        return Ok(EgressPort::unchanged(uplink.no));
    }
    Err(DropReason::GatewayNoRoute)
}
