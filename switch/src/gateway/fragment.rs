//! Cutting an IPv4 packet into fragments (RFC 791 §2.3, §3.2), where its sender allows that.
//!
//! Each fragment is made in place, its header right before its part of the payload, and so over the end of the
//! part before, which has been given away by then. A fragment is cut further like a whole packet.

use tapweave_net::checksum::complete;
use tapweave_net::{ChecksumOffload, EthernetView, Frame, Ipv4Mut, Ipv4View, Offload};

use crate::DropReason;

/// Most fragments that one packet is cut into: 64 KiB for an MTU of 576.
const FRAGMENTS_MAX: usize = 120;
/// The longest Ethernet and IPv4 headers.
const HEAD_MAX: usize = EthernetView::LEN + 60;
/// Where the flags and the fragment offset stand in the IPv4 header, and their parts.
const FLAGS: usize = 6;
const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// Cuts the packet of an untagged frame into fragments of at most `mtu` bytes and gives each to `emit`, for the
/// time of the call. The frame is of no use then.
///
/// # Errors
///
/// [`DropReason::GatewayTooBig`] when they would be too many, [`DropReason::GatewayMalformed`] when it is not
/// such a frame. Then nothing was given away.
pub(super) fn cut(
    frame: &mut Frame<'_>,
    mtu: u16,
    emit: &mut dyn FnMut(&mut Frame<'_>),
) -> Result<(), DropReason> {
    let malformed = DropReason::GatewayMalformed;
    // The sum over the whole payload has to be right before it is cut.
    if let ChecksumOffload::Partial { start, offset } = frame.offload().checksum {
        complete(frame.data_mut(), start, offset).map_err(|_outside| malformed)?;
        frame.set_offload(Offload::NONE);
    }
    let data = frame.data_mut();
    let packet = data.get(EthernetView::LEN..).ok_or(malformed)?;
    let ip = Ipv4View::parse(packet).map_err(|_cut| malformed)?;
    let head_len = EthernetView::LEN + ip.header_len();
    let payload_len = ip.payload().len();
    let (first_offset, last_more) = (ip.fragment_offset() / 8, ip.more_fragments());
    let part_len = usize::from(mtu).saturating_sub(ip.header_len()) & !7;
    if part_len == 0 || payload_len.div_ceil(part_len) > FRAGMENTS_MAX {
        return Err(DropReason::GatewayTooBig);
    }
    let mut head = [0; HEAD_MAX];
    let head = head.get_mut(..head_len).ok_or(malformed)?;
    head.copy_from_slice(data.get(..head_len).ok_or(malformed)?);

    let mut from = 0;
    while from < payload_len {
        let to = payload_len.min(from + part_len);
        let more = to < payload_len || last_more;
        // Below 8192, since the whole packet is shorter than 64 KiB.
        let offset = u16::try_from(from / 8).map_err(|_too_long| malformed)? + first_offset;
        let part = data
            .get_mut(from..head_len + to)
            .ok_or(DropReason::GatewayMalformed)?;
        put_head(part, head, offset, more).ok_or(malformed)?;
        emit(&mut Frame::new(part, 0, Offload::NONE));
        if from == 0 {
            strip_options(head);
        }
        from = to;
    }
    Ok(())
}

/// Writes the head of a fragment.
fn put_head(part: &mut [u8], head: &[u8], offset: u16, more: bool) -> Option<()> {
    let packet_len = u16::try_from(part.len() - EthernetView::LEN).ok()?;
    part.get_mut(..head.len())?.copy_from_slice(head);
    let packet = part.get_mut(EthernetView::LEN..)?;
    let flags = offset & OFFSET | if more { MORE } else { 0 };
    packet
        .get_mut(FLAGS..FLAGS + 2)?
        .copy_from_slice(&flags.to_be_bytes());
    let mut ip = Ipv4Mut::parse(packet).ok()?;
    ip.set_total_len(packet_len);
    ip.fill_checksum();
    Some(())
}

/// Replaces the options that only the first fragment has by "no operation" (RFC 791 §3.1: those without the
/// copied flag).
fn strip_options(head: &mut [u8]) {
    /// "No operation".
    const NOP: u8 = 1;
    const COPIED: u8 = 0x80;
    let mut rest = head
        .get_mut(EthernetView::LEN + Ipv4View::LEN..)
        .unwrap_or_default();
    while let [kind, more @ ..] = rest {
        let len = match (*kind, more.first()) {
            (0, _) => return,
            (NOP, _) => 1,
            (_, Some(len)) if usize::from(*len) >= 2 => usize::from(*len),
            // Receivers stop here too.
            _ => return,
        };
        let is_kept = *kind & COPIED != 0;
        let Some((option, behind)) = rest.split_at_mut_checked(len) else {
            return;
        };
        if !is_kept {
            option.fill(NOP);
        }
        rest = behind;
    }
}
