//! The stage that asks whether the endpoint may send this at all. Before the source is looked at, so
//! that nothing is learned from a frame that claims to be somebody else's.

use tapweave_net::Frame;

use super::Trace;
use crate::DropReason;
use crate::explain::Stage;
use crate::snapshot::Port;

#[inline]
pub(super) fn check(
    ingress: &Port,
    frame: &Frame<'_>,
    trace: &mut impl Trace,
) -> Result<(), DropReason> {
    let outcome = ingress.guard.as_ref().map(|guard| guard.check(frame));
    trace.stage(|| Stage::Guard { outcome });
    outcome.unwrap_or(Ok(()))
}
