//! The first stage: is it a frame, does it fit the network, can its offload be done.

use tapweave_net::Frame;

use super::{Prepared, Trace};
use crate::DropReason;
use crate::explain::Stage;
use crate::head::Head;
use crate::snapshot::Port;

#[inline]
pub(super) fn check(
    ingress: &Port,
    frame: &Frame<'_>,
    prepared: &Prepared,
    trace: &mut impl Trace,
) -> Result<Head, DropReason> {
    let (data, mtu) = (frame.data(), ingress.network.mtu);
    let head = prepared.head.ok_or(DropReason::Runt);
    let packet_len = head.and_then(|head| head.packet_len(data, frame.offload()));
    trace.stage(|| Stage::Size {
        frame_len: data.len(),
        packet_len: packet_len.ok(),
        mtu,
    });
    if packet_len? > usize::from(mtu) {
        return Err(DropReason::Oversize);
    }
    head
}
