//! The Ethernet header: who sends, and what is behind the tags.

use tapweave_net::{ChecksumOffload, EtherType, EthernetView, Frame};

use super::{Guard, arp, ipv4, ipv6};
use crate::DropReason;

/// Checks a frame from the outside in.
///
/// A group or zero address as the source is not the endpoint's and refused like any other.
#[inline]
pub(super) fn check(guard: &Guard, frame: &Frame<'_>) -> Result<(), DropReason> {
    let ethernet = EthernetView::parse(frame.data()).map_err(|_cut| DropReason::GuardMalformed)?;
    if ethernet.src() != guard.mac {
        return Err(DropReason::GuardMac);
    }
    let packet = ethernet.payload();
    let unread = match ethernet.ethertype() {
        EtherType::IPV4 => ipv4::check(guard, packet)?,
        EtherType::IPV6 => ipv6::check(guard, packet)?,
        EtherType::ARP => arp::check(guard, packet)?,
        _ => return Err(DropReason::GuardEthertype),
    };
    check_offload(frame, ethernet.payload_offset(), unread)
}

/// The bytes of a packet that the guard has not read and may be rewritten, if there are any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unread {
    /// Nothing: the packet means what all of its bytes say.
    Nothing,
    /// What stands at this offset from the start of the packet and behind it.
    From(usize),
}

/// Refuses a partial checksum that would be written over what was checked.
///
/// Linux leaves partial checksums in TCP and UDP only, and in tunnels around them, where the field lies
/// even further back.
#[inline]
fn check_offload(
    frame: &Frame<'_>,
    packet_offset: usize,
    unread: Unread,
) -> Result<(), DropReason> {
    let ChecksumOffload::Partial { start, offset } = frame.offload().checksum else {
        return Ok(());
    };
    let field = usize::from(start) + usize::from(offset);
    match unread {
        Unread::From(from) if field >= packet_offset + from => Ok(()),
        Unread::From(_) | Unread::Nothing => Err(DropReason::GuardMalformed),
    }
}
