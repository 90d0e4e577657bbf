//! A frame from a port of a network: for its gateway, or to be forwarded by it.

use tapweave_nat::{NatDrop, Out};
use tapweave_net::{Frame, IcmpErrorKind, ParsedFrame, Vid};

use super::answer::is_echo;
use super::asked::is_to_dhcp_servers;
use super::handle::{Call, Ingress, Next};
use super::link::{Dealt, Link};
use super::packet::{Packet, is_forwardable};
use super::refusal::Refusal;
use super::step::GatewayStep;
use super::way::{Origin, Use, Way, outward};
use super::{Gateway, Outside, Remote};
use crate::decide::Trace;
use crate::head::Head;
use crate::snapshot::{Network, Port};
use crate::{Advertising, DropReason, Isolation, Service};

/// Deals with a frame from `port`.
///
/// # Errors
///
/// Why it goes no further.
pub(super) fn handle<T: Trace>(
    call: &mut Call<'_, T>,
    port: &Port,
    gateway: &Gateway,
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
) -> Result<Next, Refusal> {
    let head = Head::parse(frame.data()).ok_or(DropReason::GatewayMalformed)?;
    // A service tag, or a second one, makes the rest payload of somebody else.
    if parsed.tags().count() > usize::from(head.tag.is_some()) {
        return Err(DropReason::GatewayProtocol.into());
    }
    let inside = Inside {
        port,
        gateway,
        network: &port.network,
        vid: port.vlans.classify(head.tag)?,
    };
    let link = Link {
        mac: gateway.config.mac,
        neighbors: &gateway.neighbors,
        vid: inside.vid,
    };
    let has = |address| gateway.has(address);
    let may_be = |address| gateway.is_neighbor(address);
    match link.deal(frame, parsed, (call.now, call.use_), has, may_be) {
        Dealt::Answered(step) => return Ok(call.answered(step, port.no)),
        Dealt::Heard(step) => return Ok(call.done(step)),
        Dealt::Solicited if gateway.config.advertising != Advertising::Silent => {
            if call.use_ == Use::Packet {
                gateway.advertiser.solicit(port.no);
            }
            return Ok(call.done(GatewayStep::Solicited));
        }
        Dealt::Solicited | Dealt::No => {}
    }
    let packet = Packet::read(frame, parsed)?;
    if gateway.has(packet.dst) {
        return inside.deliver(call, frame, parsed, &packet);
    }
    if is_to_dhcp_servers(packet.dst) && port.has_dhcp() {
        return inside.ask_server(call, frame, parsed, &packet);
    }
    inside.forward(call, frame, parsed, &packet)
}

/// Where a frame came in.
struct Inside<'a> {
    port: &'a Port,
    gateway: &'a Gateway,
    network: &'a Network,
    vid: Option<Vid>,
}

impl Inside<'_> {
    /// Answers a packet for the gateway itself, or gives it to who does.
    fn deliver<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
    ) -> Result<Next, Refusal> {
        // The answer would go to the port whoever is said to have asked.
        if !self.gateway.is_neighbor(packet.src) {
            return Err(DropReason::GatewaySource.into());
        }
        match Service::of(parsed) {
            Some(Service::Dhcp) if self.port.has_dhcp() => {
                return self.serve(call, frame, Service::Dhcp);
            }
            Some(service @ Service::Dns) if self.network.services.has(service) => {
                return self.serve(call, frame, service);
            }
            Some(Service::Dns | Service::Dhcp) | None => {}
        }
        let mac = self.gateway.config.mac;
        call.deliver(frame, parsed, packet, mac, self.port.no)
    }

    /// Gives a packet for all DHCP servers to that of the gateway. Its sender may have no address yet.
    fn ask_server<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
    ) -> Result<Next, Refusal> {
        if !packet.src.is_unspecified() && !self.gateway.is_neighbor(packet.src) {
            return Err(DropReason::GatewaySource.into());
        }
        match Service::of(parsed) {
            Some(Service::Dhcp) => self.serve(call, frame, Service::Dhcp),
            Some(Service::Dns) | None => Err(DropReason::GatewayMartian.into()),
        }
    }

    /// Gives a packet to a service, which is given.
    fn serve<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &Frame<'_>,
        service: Service,
    ) -> Result<Next, Refusal> {
        if call.use_ == Use::Packet {
            let from = (self.network.no, self.port.no);
            let services = &self.network.services;
            services.take(service, from, &self.port.places, frame)?;
        }
        Ok(call.done(GatewayStep::Served { service }))
    }

    fn echo<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
    ) -> Result<Next, Refusal> {
        let mac = self.gateway.config.mac;
        call.echo(frame, parsed, packet, mac, self.port.no)
    }

    /// Routes a packet for somebody else.
    #[inline]
    fn forward<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
    ) -> Result<Next, Refusal> {
        if !self.gateway.is_host(packet.src) {
            return Err(DropReason::GatewaySource.into());
        }
        if !is_forwardable(packet.dst) {
            return Err(DropReason::GatewayMartian.into());
        }
        let home = call.snapshot.router.home_of(packet.dst);
        if let Some(remote) = home.and_then(|home| home.behind.as_deref())
            && remote.network.no == self.network.no
        {
            return self.cross(call, frame, parsed, packet, remote);
        }
        if self.gateway.config.outside == Outside::Closed {
            return Err(Refusal::told(
                DropReason::GatewayClosed,
                IcmpErrorKind::NoRoute,
            ));
        }
        match home.map(|home| home.network) {
            Some(network) if network == self.network.no => {
                let origin = Origin::Inside(self.port.isolation, self.vid);
                call.send_inward(frame, parsed, packet, self.network, packet.dst, origin)
            }
            Some(_) => Err(Refusal::told(
                DropReason::GatewayOtherNetwork,
                IcmpErrorKind::Prohibited,
            )),
            None => self.leave(call, frame, parsed, packet),
        }
    }

    /// Sends a packet to a remote host of the network.
    #[inline]
    fn cross<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
        remote: &Remote,
    ) -> Result<Next, Refusal> {
        if !self.port.isolation.permits(Isolation::Tunnel) {
            return Err(DropReason::Isolated.into());
        }
        if self.vid.is_some() {
            return Err(DropReason::VlanNotCarried.into());
        }
        let way = remote.way(call);
        packet.check_size(way.mtu)?;
        call.send(frame, parsed, packet, &way)
    }

    /// Lets a packet out, or in again where that is what its destination means.
    #[inline]
    fn leave<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
    ) -> Result<Next, Refusal> {
        let translator = call.snapshot.translator.as_ref();
        let is_ours = translator.is_some_and(|nat| nat.rules.is_external(packet.dst));
        // What the sender may have to hear of is found out while the packet is still as it sent it.
        let way = if is_ours {
            None
        } else {
            if packet.hops <= 1 {
                return Err(Refusal::EXPIRED);
            }
            let way = outward(call, packet.dst)?;
            packet.check_size(way.mtu)?;
            Some(way)
        };
        let Some(translator) = translator else {
            let out = match self.gateway.config.outside {
                Outside::Routed => Out::Untranslated,
                Outside::Masqueraded | Outside::Closed => {
                    return Err(DropReason::from(NatDrop::NoExternalAddress).into());
                }
            };
            return self.settle(call, frame, parsed, out, way);
        };
        // Its source is no longer the sender's.
        let unheard = |refusal: Refusal| Refusal::from(refusal.reason);
        let pass = translator.pass(call.now, call.worker, call.hint);
        let nat = &translator.nat;
        if call.use_ == Use::Question {
            let forecast = nat
                .foresee_out(&pass, self.network.no, frame, parsed)
                .map_err(untranslated)?;
            let basis = forecast.basis;
            call.step(|| GatewayStep::Translated { basis });
            let settled = self.settle(call, frame, parsed, forecast.verdict, way);
            return settled.map_err(unheard);
        }
        let mut release = |part: &mut Frame<'_>, out: Out| {
            call.release(Ingress::Port(self.port), part, |call, part, parsed| {
                self.settle(call, part, parsed, out, way)
            });
        };
        let out = nat
            .translate_out(&pass, self.network.no, frame, parsed, &mut release)
            .map_err(untranslated)?;
        self.settle(call, frame, parsed, out, way).map_err(unheard)
    }

    /// Does what the translation says.
    #[inline]
    fn settle<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        out: Out,
        way: Option<Way>,
    ) -> Result<Next, Refusal> {
        let packet = Packet::read(frame, parsed)?;
        match (out, way) {
            (Out::ToUplink | Out::Untranslated, Some(way)) => {
                call.send(frame, parsed, &packet, &way)
            }
            (Out::Hairpin { network, dst }, _) => call.enter(frame, parsed, &packet, network, dst),
            (Out::Local | Out::ToUplink | Out::Untranslated, _) if is_echo(frame, parsed) => {
                self.echo(call, frame, parsed, &packet)
            }
            (Out::Local | Out::ToUplink | Out::Untranslated, _) => {
                Err(DropReason::GatewayPort.into())
            }
            (Out::Held, _) => Ok(Next::Done),
        }
    }
}

/// Refuses a packet that was not translated. Its sender hears of it when no flow could be made for want of
/// room (RFC 5508 REQ-8). Not when it opens flows too fast: a TCP that hears of that gives up, where its
/// next SYN would get through.
#[cold]
fn untranslated(reason: NatDrop) -> Refusal {
    match reason {
        NatDrop::PortsExhausted | NatDrop::TableFull | NatDrop::FlowLimit => {
            Refusal::told(reason.into(), IcmpErrorKind::Prohibited)
        }
        NatDrop::Malformed
        | NatDrop::Protocol
        | NatDrop::IcmpType
        | NatDrop::IcmpUnmatched
        | NatDrop::NoMapping
        | NatDrop::NoExternalAddress
        | NatDrop::FlowRate
        | NatDrop::TcpNoFlow
        | NatDrop::Fragment
        | NatDrop::Contended => DropReason::from(reason).into(),
    }
}
