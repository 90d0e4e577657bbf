//! Packets that leave a network.

use tapweave_net::{Frame, IpProtocol, NetworkNo, ParsedFrame};

use super::error::translate_error;
use super::fragment::Way;
use super::{addresses, ends_against, ip_len, is_for_external, permit_key, tuple_of};
use crate::nat::{Nat, Pass};
use crate::new_flow::FirstPacket;
use crate::packet::{FlowPacket, Packet, renumber, rewrite};
use crate::table::{Realm, Tuple};
use crate::{Masquerade, NatDrop, Out};

impl Nat {
    #[inline]
    pub(crate) fn out(
        &self,
        pass: &Pass<'_>,
        network: NetworkNo,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        emit: &mut dyn FnMut(&mut Frame<'_>, Out),
    ) -> Result<Out, NatDrop> {
        let realm = Realm::of(network);
        if let Some(packet) = FlowPacket::read_plain(frame, parsed)
            && let Some(found) = self.find_flow(pass, &tuple_of(realm, &packet))
        {
            let len = ip_len(parsed);
            self.follow(pass, found.record, found.direction, &packet, len)?;
            return self.send_out(pass, realm, (frame, parsed), &packet, &found.other, emit);
        }
        self.out_seldom(pass, network, frame, parsed, emit)
    }

    /// Does what is to be done with a packet of any kind.
    #[inline(never)]
    fn out_seldom(
        &self,
        pass: &Pass<'_>,
        network: NetworkNo,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        emit: &mut dyn FnMut(&mut Frame<'_>, Out),
    ) -> Result<Out, NatDrop> {
        let packet = match Packet::read(frame, parsed) {
            Ok(packet) => packet,
            Err(unreadable) => return refuse_or_pass(pass, network, parsed, unreadable.into()),
        };
        let realm = Realm::of(network);
        match &packet {
            Packet::Flow(packet) => {
                let (tuple, len) = (tuple_of(realm, packet), ip_len(parsed));
                permit_key(&tuple)?;
                let other = if let Some(found) = self.find_flow(pass, &tuple) {
                    self.follow(pass, found.record, found.direction, packet, len)?;
                    found.other
                } else {
                    let first = FirstPacket { tuple, packet, len };
                    match self.begin_out(pass, network, &first)? {
                        Ok(other) => other,
                        Err(without) => {
                            if without == Out::Untranslated && tracks(pass, network, parsed) {
                                let way = || Way::AsItIs;
                                self.lead(pass, realm, (frame, parsed), way, emit, out_on)?;
                            }
                            return Ok(without);
                        }
                    }
                };
                self.send_out(pass, realm, (frame, parsed), packet, &other, emit)
            }
            Packet::Error(error) => {
                let Some(other) = self.flow_of_error(pass, realm, error) else {
                    return refuse_or_pass(pass, network, parsed, NatDrop::IcmpUnmatched);
                };
                // Whoever tells of the error inside is the flow's external end outside (REQ-5 c).
                // Over IPv6 there is no number, so its protocol does not matter.
                let id = self.identification(frame, parsed, &other, IpProtocol::ICMPV4);
                let way = || Way::against(&other, id);
                self.lead(pass, realm, (frame, parsed), way, emit, out_on)?;
                translate_error(frame, parsed, error, other.dst.ip(), &other)?;
                id.map_or(Ok(()), |id| renumber(frame, parsed, id))?;
                Ok(way_to(&other))
            }
            Packet::Later(part) => {
                if !tracks(pass, network, parsed) {
                    return Ok(Out::Untranslated);
                }
                let way = self.follow_first(pass, realm, (frame, parsed), part)?;
                Ok(way.map_or(Out::Held, |way| out_on(&way)))
            }
        }
    }

    /// Gives a packet the ends of `other`, turned around.
    #[inline(always)]
    fn send_out(
        &self,
        pass: &Pass<'_>,
        realm: Realm,
        (frame, parsed): (&mut Frame<'_>, &ParsedFrame),
        packet: &FlowPacket,
        other: &Tuple,
        emit: &mut dyn FnMut(&mut Frame<'_>, Out),
    ) -> Result<Out, NatDrop> {
        let id = self.identification(frame, parsed, other, packet.protocol);
        let way = || Way::against(other, id);
        self.lead(pass, realm, (frame, parsed), way, emit, out_on)?;
        rewrite(frame, parsed, packet, &ends_against(other))?;
        id.map_or(Ok(()), |id| renumber(frame, parsed, id))?;
        Ok(way_to(other))
    }

    /// Returns the Identification of a packet that goes against the direction of `other`; `None` when it keeps
    /// its own.
    #[inline]
    fn identification(
        &self,
        frame: &Frame<'_>,
        parsed: &ParsedFrame,
        other: &Tuple,
        protocol: IpProtocol,
    ) -> Option<u16> {
        self.identifications
            .for_packet(frame, parsed, &ends_against(other), protocol)
    }

    /// Makes the flow of a packet and returns its other key, or what becomes of the packet without one.
    #[cold]
    fn begin_out(
        &self,
        pass: &Pass<'_>,
        network: NetworkNo,
        first: &FirstPacket<'_>,
    ) -> Result<Result<Tuple, Out>, NatDrop> {
        if pass.rules.is_external(first.tuple.dst.ip()) {
            let begun = self.begin_hairpin(pass, first)?;
            return Ok(begun.ok_or(Out::Local));
        }
        match masquerade(pass, network)? {
            Masquerade::Yes => self.begin_outward(pass, first).map(Ok),
            Masquerade::No => Ok(Err(Out::Untranslated)),
        }
    }
}

fn masquerade(pass: &Pass<'_>, network: NetworkNo) -> Result<Masquerade, NatDrop> {
    pass.rules
        .masquerade(network)
        .ok_or(NatDrop::NoExternalAddress)
}

/// Decides on a packet that cannot be translated: it passes if it need not be.
#[cold]
pub(super) fn refuse_or_pass(
    pass: &Pass<'_>,
    network: NetworkNo,
    parsed: &ParsedFrame,
    reason: NatDrop,
) -> Result<Out, NatDrop> {
    match masquerade(pass, network)? {
        Masquerade::No if !is_for_external(pass, parsed) => Ok(Out::Untranslated),
        Masquerade::No | Masquerade::Yes => Err(reason),
    }
}

/// Tells whether the way of fragments is kept track of.
#[cold]
pub(super) fn tracks(pass: &Pass<'_>, network: NetworkNo, parsed: &ParsedFrame) -> bool {
    let [src, _] = addresses(parsed);
    pass.rules.masquerade(network) != Some(Masquerade::No)
        || is_for_external(pass, parsed)
        || src.is_some_and(|src| pass.rules.publishes(network, src))
}

/// Returns where a fragment goes that goes a way.
fn out_on(way: &Way) -> Out {
    match *way {
        Way::To { realm, dst, .. } => match realm.network() {
            None => Out::ToUplink,
            Some(network) => Out::Hairpin { network, dst },
        },
        Way::AsItIs => Out::Untranslated,
    }
}

/// Returns where a packet goes that goes against the direction of `other`.
#[inline]
pub(super) fn way_to(other: &Tuple) -> Out {
    match other.realm.network() {
        None => Out::ToUplink,
        Some(network) => Out::Hairpin {
            network,
            dst: other.src.ip(),
        },
    }
}
