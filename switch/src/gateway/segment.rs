//! Cutting a super-frame whose segments are larger than the MTU, where its sender allows fragments: into its
//! segments first, then each of these into fragments, as a router's kernel does (`ip_finish_output_gso`).
//!
//! A segment is made in place, its headers right before its payload, and so over the end of the segment before, which
//! has been given away by then. Its payload is longer than its headers, so those of the super-frame stay where
//! they are; what was written over them when the first segment was cut is undone for the next one.

use tapweave_net::{Frame, Offload, Splitter};

use super::fragment::cut;
use crate::DropReason;

/// The longest headers: Ethernet, IPv4 and TCP, each with options.
const HEADERS_MAX: usize = 14 + 60 + 60;

/// Cuts the super-frame of an untagged frame into packets of at most `mtu` bytes and gives each to `emit`, for the
/// time of the call. The frame is of no use then. Reads each payload once, for its checksum.
///
/// # Errors
///
/// [`DropReason::BadOffload`] when it is not such a frame, [`DropReason::GatewayTooBig`] when fragments would be
/// too many; then segments may have been given away.
pub(super) fn cut_segments(
    frame: &mut Frame<'_>,
    mtu: u16,
    emit: &mut dyn FnMut(&mut Frame<'_>),
) -> Result<(), DropReason> {
    let bad = DropReason::BadOffload;
    let offload = frame.offload();
    let splitter = Splitter::new(frame.data(), offload).map_err(|_mismatch| bad)?;
    let (segment_count, header_len) = (splitter.segment_count(), splitter.header_len());
    let payload_len = splitter.max_segment_len() - header_len;
    if payload_len < header_len {
        return Err(bad);
    }
    let mut headers = [0; HEADERS_MAX];
    let headers = headers.get_mut(..header_len).ok_or(bad)?;
    headers.copy_from_slice(frame.data().get(..header_len).ok_or(bad)?);

    let data = frame.data_mut();
    for index in 0..segment_count {
        data.get_mut(..header_len)
            .ok_or(bad)?
            .copy_from_slice(headers);
        let mut own = [0; HEADERS_MAX];
        let own = own.get_mut(..header_len).ok_or(bad)?;
        let splitter = Splitter::new(data, offload).map_err(|_mismatch| bad)?;
        let segment = splitter.write_headers(index, own);
        let len = header_len + segment.map_err(|_no_segment| bad)?.payload.len();
        let from = index * payload_len;
        let segment = data.get_mut(from..from + len).ok_or(bad)?;
        segment
            .get_mut(..header_len)
            .ok_or(bad)?
            .copy_from_slice(own);
        cut(&mut Frame::new(segment, 0, Offload::NONE), mtu, emit)?;
    }
    Ok(())
}
