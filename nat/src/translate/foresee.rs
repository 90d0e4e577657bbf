//! What the translation would do with a packet, for people who ask. Nothing changes by it: no flow is made, prolonged
//! or counted, and no port chosen.
//!
//! The order of questions is that of [`translate`](super). What only the making of a flow shows is not foreseen: that
//! ports or the table are exhausted or a sandbox has all that it may have; nor is what the state of a TCP
//! connection makes of a segment.

use core::fmt;

use tapweave_net::{Frame, IpProtocol, NetworkNo, ParsedFrame};

use super::{inward, is_for_external, out, tuple_of};
use crate::flow::Beginning;
use crate::mapping::Internal;
use crate::nat::{Nat, Pass};
use crate::packet::{L4, Packet, QueryKind};
use crate::table::{Endpoint, Realm, Tuple};
use crate::{Endpoints, FlowKind, In, Masquerade, NatDrop, Out};

/// What would become of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forecast<V> {
    /// Where it would go.
    pub verdict: V,
    /// By what.
    pub basis: Basis,
}

/// What the translation goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Basis {
    /// A flow that is known, or a mapping: the packet, or the one that it quotes, gets these ends.
    Known(Endpoints),
    /// A flow that it would begin.
    New(FlowKind),
    /// The first fragment of its packet.
    FirstFragment,
    /// Nothing: it stays as it is.
    Untranslated,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(ends) => write!(f, "translate it to {ends}"),
            Self::New(kind) => write!(f, "begin a {kind} flow for it"),
            Self::FirstFragment => f.write_str("do as with the first fragment of its packet"),
            Self::Untranslated => f.write_str("leave it as it is"),
        }
    }
}

impl Nat {
    /// Returns what [`Nat::translate_out`] would do with a packet, which stays as it is.
    ///
    /// # Errors
    ///
    /// Why it would be dropped. That is not counted.
    pub fn foresee_out(
        &self,
        pass: &Pass<'_>,
        network: NetworkNo,
        frame: &Frame<'_>,
        parsed: &ParsedFrame,
    ) -> Result<Forecast<Out>, NatDrop> {
        let untranslated = |verdict| Forecast {
            verdict,
            basis: Basis::Untranslated,
        };
        let refuse_or_pass =
            |reason: NatDrop| out::refuse_or_pass(pass, network, parsed, reason).map(untranslated);
        let packet = match Packet::read(frame, parsed) {
            Ok(packet) => packet,
            Err(unreadable) => return refuse_or_pass(unreadable.into()),
        };
        let realm = Realm::of(network);
        let tuple = match &packet {
            Packet::Flow(packet) => tuple_of(realm, packet),
            Packet::Error(error) => {
                return match self.flow_of_error(pass, realm, error) {
                    Some(other) => Ok(Forecast::known(out::way_to(&other), &other, Quoted::Yes)),
                    None => refuse_or_pass(NatDrop::IcmpUnmatched),
                };
            }
            Packet::Later(_) if !out::tracks(pass, network, parsed) => {
                return Ok(untranslated(Out::Untranslated));
            }
            Packet::Later(_) => return Ok(Forecast::of_fragment(Out::Held)),
        };
        if let Some(other) = self.known(pass, &tuple)? {
            return Ok(Forecast::known(out::way_to(&other), &other, Quoted::No));
        }
        let l4 = l4_of(&packet);
        let is_query = matches!(l4, Some(L4::Query(_)));
        if pass.rules.is_external(tuple.dst.ip()) {
            if is_query {
                return Ok(untranslated(Out::Local));
            }
            self.may_begin(l4)?;
            let server = self.server_at(pass, tuple.protocol, tuple.dst);
            let (server, _) = server.ok_or(NatDrop::NoMapping)?;
            let network = server.realm.network().ok_or(NatDrop::NoMapping)?;
            let dst = server.endpoint.ip();
            return Ok(Forecast {
                verdict: Out::Hairpin { network, dst },
                basis: Basis::New(FlowKind::Hairpin),
            });
        }
        match pass.rules.masquerade(network) {
            Some(Masquerade::Yes) => {
                self.may_begin(l4)?;
                let src = tuple.src.ip();
                let mut external = pass.rules.external().iter();
                if !external.any(|external| external.is_ipv4() == src.is_ipv4()) {
                    return Err(NatDrop::NoExternalAddress);
                }
                Ok(Forecast {
                    verdict: Out::ToUplink,
                    basis: Basis::New(FlowKind::Masqueraded),
                })
            }
            Some(Masquerade::No) => Ok(untranslated(Out::Untranslated)),
            None => Err(NatDrop::NoExternalAddress),
        }
    }

    /// Returns what [`Nat::translate_in`] would do with a packet, which stays as it is.
    ///
    /// # Errors
    ///
    /// Why it would be dropped. That is not counted.
    pub fn foresee_in(
        &self,
        pass: &Pass<'_>,
        frame: &Frame<'_>,
        parsed: &ParsedFrame,
    ) -> Result<Forecast<In>, NatDrop> {
        let untranslated = |verdict| Forecast {
            verdict,
            basis: Basis::Untranslated,
        };
        let refuse_or_pass =
            |reason: NatDrop| inward::refuse_or_pass(pass, parsed, reason).map(untranslated);
        let packet = match Packet::read(frame, parsed) {
            Ok(packet) => packet,
            Err(unreadable) => return refuse_or_pass(unreadable.into()),
        };
        let realm = Realm::OUTSIDE;
        let tuple = match &packet {
            Packet::Flow(packet) => tuple_of(realm, packet),
            Packet::Error(error) => {
                return match self.flow_of_error(pass, realm, error) {
                    Some(other) => Ok(Forecast::known(
                        inward::way_to(&other)?,
                        &other,
                        Quoted::Yes,
                    )),
                    None => refuse_or_pass(NatDrop::IcmpUnmatched),
                };
            }
            Packet::Later(_) if !is_for_external(pass, parsed) => {
                return Ok(untranslated(In::Untranslated));
            }
            Packet::Later(_) => return Ok(Forecast::of_fragment(In::Held)),
        };
        if let Some(other) = self.known(pass, &tuple)? {
            return Ok(Forecast::known(inward::way_to(&other)?, &other, Quoted::No));
        }
        let l4 = l4_of(&packet);
        let server = match l4 {
            Some(L4::Query(QueryKind::Request)) if is_for_external(pass, parsed) => {
                return Ok(untranslated(In::Local));
            }
            Some(L4::Query(_)) => None,
            Some(L4::Tcp(_) | L4::Udp) | None => self.server_at(pass, tuple.protocol, tuple.dst),
        };
        let Some((server, is_published)) = server else {
            return refuse_or_pass(NatDrop::NoMapping);
        };
        let network = server.realm.network().ok_or(NatDrop::NoMapping)?;
        let dst = server.endpoint.ip();
        let basis = match (is_published, l4) {
            (true, _) => {
                self.may_begin(l4)?;
                Basis::New(FlowKind::Published)
            }
            (false, Some(L4::Tcp(segment))) if !segment.is_opening() => {
                return Err(NatDrop::TcpNoFlow);
            }
            (false, Some(L4::Tcp(_))) => Basis::New(FlowKind::Admitted),
            // A datagram of a stranger goes by the mapping alone.
            (false, _) => Basis::Known(Endpoints::between(tuple.src, server.endpoint)),
        };
        Ok(Forecast {
            verdict: In::To { network, dst },
            basis,
        })
    }

    /// Returns the other key of a flow that is known.
    fn known(&self, pass: &Pass<'_>, tuple: &Tuple) -> Result<Option<Tuple>, NatDrop> {
        if tuple.src.is_any() || tuple.dst.is_any() {
            return Err(NatDrop::Malformed);
        }
        let found = self.table.find(tuple, pass.now);
        Ok(found.and_then(|(record, direction)| record.tuple(direction.opposite())))
    }

    /// Returns whom an external port leads to, and whether it is published.
    fn server_at(
        &self,
        pass: &Pass<'_>,
        protocol: IpProtocol,
        external: Endpoint,
    ) -> Option<(Internal, bool)> {
        if let Some(internal) = Internal::published_at(pass, protocol, external) {
            return Some((internal, true));
        }
        let internal = self.internal_of(pass.now, protocol, external)?;
        Some((internal, false))
    }

    /// Refuses a packet that begins no flow.
    fn may_begin(&self, l4: Option<L4>) -> Result<(), NatDrop> {
        match l4 {
            Some(L4::Query(QueryKind::Reply)) | None => Err(NatDrop::NoMapping),
            Some(l4) => Beginning::of(&l4, &self.config.timeouts).map(|_| ()),
        }
    }
}

const fn l4_of(packet: &Packet) -> Option<L4> {
    match packet {
        Packet::Flow(packet) => Some(packet.l4),
        Packet::Error(_) | Packet::Later(_) => None,
    }
}

/// Whether the ends are those of a quoted packet, which goes the other way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Yes,
    No,
}

impl<V> Forecast<V> {
    /// By the flow in which packets against this one's direction have the key `other`.
    fn known(verdict: V, other: &Tuple, quoted: Quoted) -> Self {
        let (src, dst) = match quoted {
            Quoted::Yes => (other.src, other.dst),
            Quoted::No => (other.dst, other.src),
        };
        Self {
            verdict,
            basis: Basis::Known(Endpoints::between(src, dst)),
        }
    }

    const fn of_fragment(verdict: V) -> Self {
        Self {
            verdict,
            basis: Basis::FirstFragment,
        }
    }
}
