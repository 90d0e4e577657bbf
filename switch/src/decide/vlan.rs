//! The second stage: which VLAN is it in, and does the ingress port take it. The rules stand in
//! [`crate::vlan`]; they were applied when the frame was prepared, because tables are asked by VLAN.

use super::{Prepared, Trace};
use crate::explain::Stage;
use crate::head::Head;
use crate::snapshot::Port;
use crate::{DropReason, FrameVlan};

#[inline]
pub(super) fn check(
    ingress: &Port,
    head: &Head,
    prepared: &Prepared,
    trace: &mut impl Trace,
) -> Result<FrameVlan, DropReason> {
    trace.stage(|| Stage::Vlan {
        port: ingress.vlans.clone(),
        tag: head.tag,
        vid: prepared.vid,
    });
    Ok(FrameVlan {
        vid: prepared.vid?,
        tag: head.tag,
    })
}
