//! Writes the ends of a packet that is no ICMP error, and what follows from them.

use core::net::IpAddr;

use tapweave_net::checksum::Delta;
use tapweave_net::{Frame, Ipv4View, Ipv6View, ParsedFrame};
use thiserror::Error;

use super::field::{replace, update_u16};
use super::l4_checksum::{L4Change, field_offset};
use super::{Ends, FlowPacket, L4, QueryKind, icmp};

/// What is to be written does not go with the frame. The frame is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// Addresses of another family than the packet's, or of two families.
    #[error("the new addresses are not of the family of the packet")]
    Family,
    /// The frame is not the one that was read.
    #[error("the frame is not the one that was read")]
    Mismatch,
}

/// Gives the packet in `frame`, which was parsed as `parsed` and read as `packet`, the ends `to`.
/// Allocates nothing.
///
/// # Errors
///
/// [`RewriteError`], and nothing has changed then.
#[inline(always)]
pub fn rewrite(
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
    packet: &FlowPacket,
    to: &Ends,
) -> Result<(), RewriteError> {
    let mismatch = RewriteError::Mismatch;
    let transport = parsed.transport().ok_or(mismatch)?;
    let l3_offset = parsed.l3_offset();
    let l4_offset = parsed.l4_offset().ok_or(mismatch)?;
    let (before, l4) = frame
        .data_mut()
        .split_at_mut_checked(l4_offset)
        .ok_or(mismatch)?;
    let l3 = before.get_mut(l3_offset..).ok_or(mismatch)?;
    let query = match packet.l4 {
        L4::Query(kind) => Some(kind),
        L4::Tcp(_) | L4::Udp => None,
    };
    let checksum_offset = field_offset(transport);
    if l4.len() < MIN_L4_LEN.max(checksum_offset + 2) {
        return Err(mismatch);
    }
    let addresses = write_addresses(l3, to.src.ip(), to.dst.ip())?.addresses;
    let header = write_identity(l4, query, to).ok_or(mismatch)?;
    let change = L4Change { addresses, header };
    update_u16(l4, checksum_offset, |old| {
        packet.checksum.after(transport, old, change)
    })
    .ok_or(mismatch)?;
    Ok(())
}

/// Gives a fragment after the first, in `frame`, which was parsed as `parsed`, these addresses. It has
/// no L4 header: the checksum of the datagram is in the first fragment.
///
/// # Errors
///
/// [`RewriteError`], and nothing has changed then.
pub fn rewrite_later(
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
    src: IpAddr,
    dst: IpAddr,
) -> Result<(), RewriteError> {
    let l3 = frame
        .data_mut()
        .get_mut(parsed.l3_offset()..)
        .ok_or(RewriteError::Mismatch)?;
    write_addresses(l3, src, dst).map(|_| ())
}

/// Bytes of the shortest L4 header.
const MIN_L4_LEN: usize = 8;

/// How an IP header has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct L3Change {
    /// The addresses, which upper layers cover too.
    pub(super) addresses: Delta,
    /// The header checksum of IPv4.
    pub(super) checksum: Delta,
}

/// Writes the addresses of the IP packet that starts at `l3[0]`, with the header checksum of IPv4.
/// The family is that of the packet, by its version.
#[inline(always)]
pub(super) fn write_addresses(
    l3: &mut [u8],
    src: IpAddr,
    dst: IpAddr,
) -> Result<L3Change, RewriteError> {
    let version = l3.first().ok_or(RewriteError::Mismatch)? >> 4;
    match (version, src, dst) {
        (4, IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header: &mut [u8; Ipv4View::LEN] =
                l3.first_chunk_mut().ok_or(RewriteError::Mismatch)?;
            let addresses = replace::<12, 4, _>(header, src.octets())
                .and(replace::<16, 4, _>(header, dst.octets()));
            let checksum = u16::from_be_bytes([header[10], header[11]]);
            let checksum = replace::<10, 2, _>(header, addresses.apply(checksum).to_be_bytes());
            Ok(L3Change {
                addresses,
                checksum,
            })
        }
        (6, IpAddr::V6(src), IpAddr::V6(dst)) => {
            let header: &mut [u8; Ipv6View::LEN] =
                l3.first_chunk_mut().ok_or(RewriteError::Mismatch)?;
            let addresses = replace::<8, 16, _>(header, src.octets())
                .and(replace::<24, 16, _>(header, dst.octets()));
            Ok(L3Change {
                addresses,
                checksum: Delta::NONE,
            })
        }
        (4 | 6, ..) => Err(RewriteError::Family),
        _ => Err(RewriteError::Mismatch),
    }
}

/// Writes the ports, or the identifier of a query, into the L4 header that starts at `l4[0]`. `None`,
/// and nothing changes, when less than eight octets are there.
#[inline]
pub(super) fn write_identity(l4: &mut [u8], query: Option<QueryKind>, to: &Ends) -> Option<Delta> {
    let header: &mut [u8; MIN_L4_LEN] = l4.first_chunk_mut()?;
    Some(match query {
        None => {
            let [s0, s1] = to.src.port().to_be_bytes();
            let [d0, d1] = to.dst.port().to_be_bytes();
            replace::<0, 4, _>(header, [s0, s1, d0, d1])
        }
        Some(kind) => replace::<{ icmp::ID_OFFSET }, 2, _>(header, kind.id(to).to_be_bytes()),
    })
}
