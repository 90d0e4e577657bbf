//! Packets that leave a network.

use tapweave_net::{Frame, IpProtocol, NetworkNo, ParsedFrame};

use super::error::translate_error;
use super::fragment::Way;
use super::{addresses, ends_against, ip_len, is_for_external, tuple_of};
use crate::nat::{Nat, Pass};
use crate::new_flow::FirstPacket;
use crate::packet::{Packet, renumber, rewrite};
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
        let packet = match Packet::read(frame, parsed) {
            Ok(packet) => packet,
            Err(unreadable) => return refuse_or_pass(pass, network, parsed, unreadable.into()),
        };
        let realm = Realm::of(network);
        match &packet {
            Packet::Flow(packet) => {
                let (tuple, len) = (tuple_of(realm, packet), ip_len(parsed));
                let other = if let Some(other) = self.follow_tuple(pass, &tuple, packet, len)? {
                    other
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
                let id = self.identification(frame, parsed, &other, packet.protocol);
                let way = || Way::against(&other, id);
                self.lead(pass, realm, (frame, parsed), way, emit, out_on)?;
                rewrite(frame, parsed, packet, &ends_against(&other))?;
                id.map_or(Ok(()), |id| renumber(frame, parsed, id))?;
                Ok(way_to(&other))
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
        let (src, dst) = (other.dst.ip(), other.src.ip());
        self.identifications
            .for_packet(frame, parsed, src, dst, protocol)
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
