//! The Identification of an IPv4 packet (RFC 791 §3.1, RFC 6864).

use tapweave_net::checksum::Delta;
use tapweave_net::{Frame, Ipv4View, Network, ParsedFrame};

use super::RewriteError;
use super::field::replace;

/// "Don't fragment".
const DF: u16 = 0x4000;
/// The bit that the Internet does not use.
const RESERVED: u16 = 0x8000;

/// Tells whether the packet in `frame`, which was parsed as `parsed`, is neither a fragment nor may become some, so
/// that its Identification means nothing (RFC 6864 §4). What is not IPv4 has none.
#[inline(always)]
pub fn is_atomic(frame: &Frame<'_>, parsed: &ParsedFrame) -> bool {
    let at = parsed.l3_offset();
    let header = frame.data().get(at..).and_then(<[u8]>::first_chunk::<8>);
    parsed.network() != Network::V4
        || header.is_none_or(|header| {
            // Neither "more fragments" nor an offset.
            u16::from_be_bytes([header[6], header[7]]) & !RESERVED == DF
        })
}

/// Gives the IPv4 packet in `frame`, which was parsed as `parsed`, another Identification, with the header
/// checksum.
///
/// # Errors
///
/// [`RewriteError::Mismatch`], and nothing has changed then.
pub fn renumber(frame: &mut Frame<'_>, parsed: &ParsedFrame, id: u16) -> Result<(), RewriteError> {
    let header: &mut [u8; Ipv4View::LEN] = frame
        .data_mut()
        .get_mut(parsed.l3_offset()..)
        .and_then(<[u8]>::first_chunk_mut)
        .filter(|header| header[0] >> 4 == 4)
        .ok_or(RewriteError::Mismatch)?;
    let change: Delta = replace::<4, 2, _>(header, id.to_be_bytes());
    let checksum = u16::from_be_bytes([header[10], header[11]]);
    replace::<10, 2, _>(header, change.apply(checksum).to_be_bytes());
    Ok(())
}
