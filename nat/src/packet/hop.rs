//! The hop that a packet takes through a router: TTL (RFC 1812 §5.3.1) and Hop Limit (RFC 8200 §3).

use tapweave_net::checksum::Delta;
use tapweave_net::{Frame, Network, ParsedFrame};

use super::field::replace;

/// What is left of a packet's hops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hop {
    /// The packet may go on; this many are left, one at least.
    Taken(u8),
    /// It may not, and its sender is to be told. The frame is as it was.
    Expired,
}

/// Takes a hop from the IP packet in `frame`, which was parsed as `parsed`; `None` when there is none.
/// The header checksum of IPv4 follows.
#[inline]
pub fn take_hop(frame: &mut Frame<'_>, parsed: &ParsedFrame) -> Option<Hop> {
    let l3 = frame.data_mut().get_mut(parsed.l3_offset()..)?;
    match parsed.network() {
        Network::V4 => {
            let header: &mut [u8; 20] = l3.first_chunk_mut()?;
            let [ttl, protocol] = [header[8], header[9]];
            let Some(left @ 1..) = ttl.checked_sub(1) else {
                return Some(Hop::Expired);
            };
            let delta: Delta = replace::<8, 2, _>(header, [left, protocol]);
            let checksum = u16::from_be_bytes([header[10], header[11]]);
            header[10..12].copy_from_slice(&delta.apply(checksum).to_be_bytes());
            Some(Hop::Taken(left))
        }
        Network::V6 => {
            let header: &mut [u8; 40] = l3.first_chunk_mut()?;
            let Some(left @ 1..) = header[7].checked_sub(1) else {
                return Some(Hop::Expired);
            };
            header[7] = left;
            Some(Hop::Taken(left))
        }
        Network::Other => None,
    }
}
