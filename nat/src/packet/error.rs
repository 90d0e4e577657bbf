//! Writes the ends of an ICMP error and of the packet that it quotes (RFC 5508 §4.2).
//!
//! The quoted packet gets the ends that it has on the other side of the translation, so that the host
//! that is told finds its own packet in it. The ICMP checksum covers the quotation, and so it follows
//! every field that changes there: the addresses, the quoted header checksum, the ports or the
//! identifier, and the quoted L4 checksum if the quotation reaches it. That one is brought up to date
//! as that of a packet is; when it was partial, which nobody can tell, or only half of it is there, it comes
//! out wrong, and nobody looks at it (RFC 5508 REQ-3 c).
//! Everything else in the message, extension objects (RFC 4884) included, stays.

use core::net::IpAddr;

use tapweave_net::checksum::Delta;
use tapweave_net::{Frame, ParsedFrame};

use super::field::update_u16;
use super::l4_checksum::{L4Change, L4Checksum, field_offset};
use super::quote::ICMP_LEN;
use super::rewrite::{RewriteError, write_addresses, write_identity};
use super::{Ends, ErrorPacket, Quoted};

/// What an ICMP error is to say. It is for the source of the quoted packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorEnds {
    /// Who is to have sent it. When the sender is an [end of the
    /// flow](ErrorPacket::is_from_end), the destination of `quoted`; a router outside stays what it
    /// is (RFC 5508 REQ-4), and one inside becomes the external address (REQ-5).
    pub src: IpAddr,
    /// The ends of the quoted packet.
    pub quoted: Ends,
}

/// Gives the ICMP error in `frame`, which was parsed as `parsed` and read as `error`, the ends `to`.
/// Allocates nothing.
///
/// # Errors
///
/// [`RewriteError`]. After [`RewriteError::Family`] the frame may be changed in part, and must not be
/// sent.
pub fn rewrite_error(
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
    error: &ErrorPacket,
    to: &ErrorEnds,
) -> Result<(), RewriteError> {
    let mismatch = RewriteError::Mismatch;
    let transport = parsed.transport().ok_or(mismatch)?;
    let l4_offset = parsed.l4_offset().ok_or(mismatch)?;
    let packet = frame
        .data_mut()
        .get_mut(parsed.l3_offset()..parsed.l3_end())
        .ok_or(mismatch)?;
    let (l3, message) = packet
        .split_at_mut_checked(l4_offset - parsed.l3_offset())
        .ok_or(mismatch)?;
    let quotation = message.get_mut(ICMP_LEN..).ok_or(mismatch)?;
    let header = write_quoted(quotation, &error.quoted, &to.quoted)?;
    let addresses = write_addresses(l3, to.src, to.quoted.src.ip())?.addresses;
    let change = L4Change { addresses, header };
    update_u16(message, field_offset(transport), |old| {
        error.checksum.after(transport, old, change)
    })
    .ok_or(mismatch)?;
    Ok(())
}

/// Rewrites a quoted packet and returns how it changed altogether.
fn write_quoted(quotation: &mut [u8], quoted: &Quoted, to: &Ends) -> Result<Delta, RewriteError> {
    let (l3, l4) = quotation
        .split_at_mut_checked(quoted.header_len)
        .ok_or(RewriteError::Mismatch)?;
    let l3 = write_addresses(l3, to.src.ip(), to.dst.ip())?;
    let identity = write_identity(l4, quoted.query, to).ok_or(RewriteError::Mismatch)?;
    let change = L4Change {
        addresses: l3.addresses,
        header: identity,
    };
    // The quotation may end before the checksum.
    let checksum = update_u16(l4, field_offset(quoted.transport), |old| {
        L4Checksum::Complete.after(quoted.transport, old, change)
    });
    Ok(l3
        .addresses
        .and(l3.checksum)
        .and(identity)
        .and(checksum.unwrap_or(Delta::NONE)))
}
