//! A frame from an uplink: for an address that the switch has there, or to be forwarded into a network.

use tapweave_nat::In;
use tapweave_nat::table::Hint;
use tapweave_net::{Frame, NetworkNo, ParsedFrame};

use super::answer::{echo, is_echo, tell};
use super::handle::{Call, Ingress, Next};
use super::link::{Dealt, Link};
use super::packet::{Packet, is_forwardable};
use super::refusal::Refusal;
use super::step::GatewayStep;
use super::way::Use;
use super::{Outside, Uplink};
use crate::decide::Trace;
use crate::snapshot::{Snapshot, Translator};
use crate::{DropReason, EgressPort};

/// Deals with a frame from `uplink`.
///
/// # Errors
///
/// Why it goes no further.
pub(super) fn handle<T: Trace>(
    call: &mut Call<'_, T>,
    uplink: &Uplink,
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
) -> Result<Next, Refusal> {
    if parsed.tags().count() > 0 {
        return Err(DropReason::GatewayProtocol.into());
    }
    if let Some(mac) = uplink.mac() {
        if parsed.dst() != mac && !parsed.dst().is_group() {
            return Err(DropReason::GatewayProtocol.into());
        }
        let link = Link {
            mac,
            neighbors: &uplink.neighbors,
            vid: None,
        };
        let has = |address| uplink.has(address);
        let may_be = |address| uplink.is_on_link(address);
        match link.deal(frame, parsed, (call.now, call.use_), has, may_be) {
            Dealt::Answered(step) => return Ok(call.answered(step, uplink.no)),
            Dealt::Heard(step) => return Ok(call.done(step)),
            Dealt::Solicited | Dealt::No => {}
        }
        // A LAN is full of groups that are for others.
        if parsed.dst().is_group() {
            return Err(DropReason::GatewayProtocol.into());
        }
    }
    let packet = Packet::read(frame, parsed)?;
    if !is_forwardable(packet.src) || !is_forwardable(packet.dst) {
        return Err(DropReason::GatewayMartian.into());
    }
    if call.snapshot.router.network_of(packet.src).is_some() || uplink.has(packet.src) {
        return Err(DropReason::GatewaySource.into());
    }
    uplink.let_in(call, frame, parsed)
}

impl Uplink {
    /// Lets a packet in, or answers it.
    #[inline]
    fn let_in<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
    ) -> Result<Next, Refusal> {
        let Some(translator) = &call.snapshot.translator else {
            return self.settle(call, frame, parsed, In::Untranslated);
        };
        let pass = translator.pass(call.now, call.worker, call.hint);
        let nat = &translator.nat;
        if call.use_ == Use::Question {
            let forecast = nat
                .foresee_in(&pass, frame, parsed)
                .map_err(DropReason::from)?;
            let basis = forecast.basis;
            call.step(|| GatewayStep::Translated { basis });
            return self.settle(call, frame, parsed, forecast.verdict);
        }
        let mut release = |part: &mut Frame<'_>, outcome: In| {
            call.release(Ingress::Uplink(self), part, |call, part, parsed| {
                self.settle(call, part, parsed, outcome)
            });
        };
        let outcome = nat
            .translate_in(&pass, frame, parsed, &mut release)
            .map_err(DropReason::from)?;
        let refusal = match self.settle(call, frame, parsed, outcome) {
            Ok(next) => return Ok(next),
            Err(refusal) => refusal,
        };
        let In::To { network, .. } = outcome else {
            return Err(refusal);
        };
        call.refuse(Ingress::Uplink(self), refusal);
        let told = self.tell_translated(call, translator, network, frame, parsed, refusal);
        Ok(told.map_or(Next::Done, Next::Send))
    }

    /// Does what the translation says.
    #[inline]
    fn settle<T: Trace>(
        &self,
        call: &mut Call<'_, T>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        outcome: In,
    ) -> Result<Next, Refusal> {
        let packet = Packet::read(frame, parsed)?;
        match outcome {
            In::To { network, dst } => call.enter(frame, parsed, &packet, network, dst),
            In::Untranslated if is_routed(call.snapshot, &packet) => {
                let network = call.snapshot.router.network_of(packet.dst);
                let network = network.ok_or(DropReason::GatewayNoRoute)?;
                call.enter(frame, parsed, &packet, network, packet.dst)
            }
            In::Local | In::Untranslated
                if is_echo(frame, parsed) && self.is_ours(call, &packet) =>
            {
                let mac = self.answering_mac(parsed);
                echo(frame, parsed, mac).ok_or(DropReason::GatewayMalformed)?;
                Ok(call.answered(GatewayStep::Echo { to: packet.src }, self.no))
            }
            In::Local => Err(DropReason::GatewayPort.into()),
            // Nobody outside is told what there is inside.
            In::Untranslated => Err(DropReason::GatewayNoRoute.into()),
            In::Held => Ok(Next::Done),
        }
    }

    /// Tells whether a packet is for an address of the switch outside.
    fn is_ours<T: Trace>(&self, call: &Call<'_, T>, packet: &Packet) -> bool {
        let translator = call.snapshot.translator.as_ref();
        self.has(packet.dst) || translator.is_some_and(|nat| nat.rules.is_external(packet.dst))
    }

    /// Tells the sender of a packet, which has been translated since, why it goes no further: the message is one
    /// from inside about a packet inside, and NAT translates both (RFC 5508 REQ-5).
    fn tell_translated<T: Trace>(
        &self,
        call: &Call<'_, T>,
        translator: &Translator,
        network: NetworkNo,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        refusal: Refusal,
    ) -> Option<EgressPort> {
        let kind = refusal.tell?;
        let gateway = call.snapshot.networks.get(&network)?.gateway.as_deref()?;
        let src = gateway.address_like(Packet::read(frame, parsed).ok()?.src)?;
        let mac = self.answering_mac(parsed);
        let ingress = Ingress::Uplink(self);
        call.send_error(ingress, &self.errors, || {
            tell(frame, parsed, kind, mac, src)
        })?;
        let parsed = ParsedFrame::parse(frame.data()).ok()?;
        let pass = translator.pass(call.now, call.worker, Hint::NONE);
        // Nothing waits for an error.
        let mut release = |_: &mut Frame<'_>, _| {};
        let nat = &translator.nat;
        nat.translate_out(&pass, network, frame, &parsed, &mut release)
            .ok()?;
        Some(EgressPort::unchanged(self.no))
    }
}

/// Tells whether a packet is for a host that the outside may reach by its own address.
fn is_routed(snapshot: &Snapshot, packet: &Packet) -> bool {
    let network = snapshot.router.network_of(packet.dst);
    let network = network.and_then(|network| snapshot.networks.get(&network));
    let gateway = network.and_then(|network| network.gateway.as_deref());
    gateway.is_some_and(|gateway| {
        gateway.config.outside == Outside::Routed && gateway.is_host(packet.dst)
    })
}
