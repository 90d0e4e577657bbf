//! What becomes of a packet: which flow it belongs to, or may begin, and what that makes of it.
//!
//! A packet whose flow is known is translated by it, whatever the rules say now; that is the path that
//! has to be fast, so packets of TCP and UDP are looked up before anything else is asked. What has no flow is asked about in this order:
//!
//! - *Out of a network*: to an external address, it is a hairpin (RFC 4787 REQ-9); else the network's
//!   rules decide whether it is masqueraded or goes on as it is.
//! - *From an uplink*: to a published port or a mapping, it begins a flow; to an external address
//!   otherwise, it is for the gateway itself (echo requests) or dropped; to any other address it goes on
//!   as it is, for the gateway to route or refuse.
//!
//! A SYN from outside that nothing takes is dropped without an answer, at once and not after the six
//! seconds of RFC 5382 REQ-4: were a sandbox to send its own SYN in that time, the other end's next SYN
//! would find the flow, so there is nothing to be gained by keeping the first one. Nor is an ICMP error
//! sent for it, which REQ-4 leaves to the policy: it would tell strangers which ports are used.
//!
//! An ICMP error is translated by the flow that the packet it quotes belongs to (RFC 5508 REQ-4, REQ-5,
//! REQ-7), or by the mapping alone, of a packet that belongs to no flow. It changes nothing of either.
//!
//! What a network that is not masqueraded sends to other addresses than external ones needs no
//! translation, so nothing of it is refused: protocols without ports pass as they are, and fragments but
//! for those of sandboxes that publish ports.

mod error;
mod foresee;
mod fragment;
mod inward;
mod out;

use core::net::IpAddr;

use tapweave_net::{FlowKey, ParsedFrame};

pub use foresee::{Basis, Forecast};
pub(crate) use fragment::Way;

use crate::NatDrop;
use crate::nat::{Nat, Pass};
use crate::packet::{Ends, FlowPacket, RewriteError, Unreadable};
use crate::table::{Direction, Endpoint, Realm, Record, Tuple};

impl Nat {
    /// Returns the flow that has a key, if there is one. The key of a mapping, with the unspecified address and port 0,
    /// has none.
    #[inline(always)]
    fn find_flow(&self, pass: &Pass<'_>, tuple: &Tuple) -> Option<Found<'_>> {
        if tuple.src.is_any() || tuple.dst.is_any() {
            return None;
        }
        let (record, direction) = self.table.find_by(pass.hint, tuple, pass.now)?;
        let other = record.tuple(direction.opposite())?;
        Some(Found {
            record,
            direction,
            other,
        })
    }
}

/// Refuses a packet that has the key of a mapping: from or to the unspecified address, which is never forwarded
/// (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2), and port 0.
fn permit_key(tuple: &Tuple) -> Result<(), NatDrop> {
    if tuple.src.is_any() || tuple.dst.is_any() {
        Err(NatDrop::Malformed)
    } else {
        Ok(())
    }
}

/// A flow that a packet belongs to.
struct Found<'a> {
    record: Record<'a>,
    /// Which way the packet goes.
    direction: Direction,
    /// The key of the other direction: its ends, turned around, are those that the packet gets.
    other: Tuple,
}

#[inline]
const fn tuple_of(realm: Realm, packet: &FlowPacket) -> Tuple {
    Tuple {
        realm,
        protocol: packet.protocol,
        src: packet.ends.src,
        dst: packet.ends.dst,
    }
}

/// Returns the tuple of a packet of TCP or UDP, unless it is a fragment, as far as the parse tells.
#[inline]
pub(crate) fn tuple_seen(realm: Realm, parsed: &ParsedFrame) -> Option<Tuple> {
    let (&FlowKey::V4 {
        protocol, ports, ..
    }
    | &FlowKey::V6 {
        protocol, ports, ..
    }) = parsed.flow()
    else {
        return None;
    };
    let (ports, [src, dst]) = (ports?, addresses(parsed));
    Some(Tuple {
        realm,
        protocol,
        src: Endpoint::new(src?, ports.src),
        dst: Endpoint::new(dst?, ports.dst),
    })
}

/// Returns the ends of a packet that goes against the direction of `other`.
#[inline]
const fn ends_against(other: &Tuple) -> Ends {
    Ends {
        src: other.dst,
        dst: other.src,
    }
}

/// Returns the bytes of the IP packet.
#[inline]
const fn ip_len(parsed: &ParsedFrame) -> u64 {
    parsed.l3_end().saturating_sub(parsed.l3_offset()) as u64
}

/// Tells whether the packet's destination is an external address.
fn is_for_external(pass: &Pass<'_>, parsed: &ParsedFrame) -> bool {
    let [_, dst] = addresses(parsed);
    dst.is_some_and(|dst| pass.rules.is_external(dst))
}

/// Returns source and destination of the packet, if it is IP.
fn addresses(parsed: &ParsedFrame) -> [Option<IpAddr>; 2] {
    match *parsed.flow() {
        FlowKey::V4 { src, dst, .. } => [src.into(), dst.into()].map(Some),
        FlowKey::V6 { src, dst, .. } => [src.into(), dst.into()].map(Some),
        FlowKey::Link { .. } => [None; 2],
    }
}

impl From<Unreadable> for NatDrop {
    fn from(reason: Unreadable) -> Self {
        match reason {
            Unreadable::NotIp | Unreadable::Protocol(_) => Self::Protocol,
            Unreadable::IcmpType(_) => Self::IcmpType,
            Unreadable::QuotedProtocol(_) | Unreadable::QuotedFragment => Self::IcmpUnmatched,
            Unreadable::FragmentLength => Self::Fragment,
            Unreadable::SourceRoute
            | Unreadable::Header(_)
            | Unreadable::Mismatch
            | Unreadable::MappedAddress
            | Unreadable::PartialChecksum
            | Unreadable::ErrorChecksum
            | Unreadable::Quote
            | Unreadable::QuotedChecksum
            | Unreadable::QuotedSource => Self::Malformed,
        }
    }
}

impl From<RewriteError> for NatDrop {
    fn from(_: RewriteError) -> Self {
        Self::Malformed
    }
}
