//! Packets that come from an uplink.

use tapweave_net::{Frame, ParsedFrame};

use super::error::translate_error;
use super::fragment::Way;
use super::{ends_against, ip_len, is_for_external, permit_key, tuple_of};
use crate::nat::{Nat, Pass};
use crate::new_flow::FirstPacket;
use crate::packet::{FlowPacket, L4, Packet, QueryKind, rewrite};
use crate::table::{Realm, Tuple};
use crate::{In, NatDrop};

impl Nat {
    #[inline]
    pub(crate) fn inward(
        &self,
        pass: &Pass<'_>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        emit: &mut dyn FnMut(&mut Frame<'_>, In),
    ) -> Result<In, NatDrop> {
        let realm = Realm::OUTSIDE;
        if let Some(packet) = FlowPacket::read_plain(frame, parsed)
            && let Some(found) = self.find_flow(pass, &tuple_of(realm, &packet))
        {
            let len = ip_len(parsed);
            self.follow(pass, found.record, found.direction, &packet, len)?;
            return self.send_in(pass, (frame, parsed), &packet, &found.other, emit);
        }
        self.inward_seldom(pass, frame, parsed, emit)
    }

    /// Does what is to be done with a packet of any kind.
    #[inline(never)]
    fn inward_seldom(
        &self,
        pass: &Pass<'_>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        emit: &mut dyn FnMut(&mut Frame<'_>, In),
    ) -> Result<In, NatDrop> {
        let packet = match Packet::read(frame, parsed) {
            Ok(packet) => packet,
            Err(unreadable) => return refuse_or_pass(pass, parsed, unreadable.into()),
        };
        let realm = Realm::OUTSIDE;
        match &packet {
            Packet::Flow(packet) => {
                let (tuple, len) = (tuple_of(realm, packet), ip_len(parsed));
                permit_key(&tuple)?;
                let other = if let Some(found) = self.find_flow(pass, &tuple) {
                    self.follow(pass, found.record, found.direction, packet, len)?;
                    found.other
                } else {
                    let first = FirstPacket { tuple, packet, len };
                    match self.begin_inward(pass, &first)? {
                        Some(other) => other,
                        None if packet.l4 == L4::Query(QueryKind::Request)
                            && is_for_external(pass, parsed) =>
                        {
                            return Ok(In::Local);
                        }
                        None => return refuse_or_pass(pass, parsed, NatDrop::NoMapping),
                    }
                };
                self.send_in(pass, (frame, parsed), packet, &other, emit)
            }
            Packet::Error(error) => {
                let Some(other) = self.flow_of_error(pass, realm, error) else {
                    return refuse_or_pass(pass, parsed, NatDrop::IcmpUnmatched);
                };
                // A router on the way stays what it is; the other end is who the sandbox takes it for.
                let src = if error.is_from_end() {
                    other.dst.ip()
                } else {
                    error.src
                };
                let way = || Way::To {
                    realm: other.realm,
                    src,
                    dst: other.src.ip(),
                    id: None,
                };
                self.lead(pass, realm, (frame, parsed), way, emit, in_on)?;
                translate_error(frame, parsed, error, src, &other)?;
                way_to(&other)
            }
            Packet::Later(part) => {
                if !is_for_external(pass, parsed) {
                    return Ok(In::Untranslated);
                }
                let way = self.follow_first(pass, realm, (frame, parsed), part)?;
                Ok(way.map_or(In::Held, |way| in_on(&way)))
            }
        }
    }

    /// Gives a packet the ends of `other`, turned around.
    #[inline(always)]
    fn send_in(
        &self,
        pass: &Pass<'_>,
        (frame, parsed): (&mut Frame<'_>, &ParsedFrame),
        packet: &FlowPacket,
        other: &Tuple,
        emit: &mut dyn FnMut(&mut Frame<'_>, In),
    ) -> Result<In, NatDrop> {
        let way = || Way::against(other, None);
        self.lead(pass, Realm::OUTSIDE, (frame, parsed), way, emit, in_on)?;
        rewrite(frame, parsed, packet, &ends_against(other))?;
        way_to(other)
    }
}

/// Decides on a packet that cannot be translated: it passes if it is not for an external address.
#[cold]
pub(super) fn refuse_or_pass(
    pass: &Pass<'_>,
    parsed: &ParsedFrame,
    reason: NatDrop,
) -> Result<In, NatDrop> {
    if is_for_external(pass, parsed) {
        Err(reason)
    } else {
        Ok(In::Untranslated)
    }
}

/// Returns where a fragment goes that goes a way.
fn in_on(way: &Way) -> In {
    match *way {
        Way::To { realm, dst, .. } => realm
            .network()
            .map_or(In::Untranslated, |network| In::To { network, dst }),
        Way::AsItIs => In::Untranslated,
    }
}

/// Returns where a packet goes that goes against the direction of `other`.
#[inline]
pub(super) fn way_to(other: &Tuple) -> Result<In, NatDrop> {
    let network = other.realm.network().ok_or(NatDrop::NoMapping)?;
    Ok(In::To {
        network,
        dst: other.src.ip(),
    })
}
