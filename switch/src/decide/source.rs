//! The stage that asks who sent it, and what the FDB has to learn from that.

use tapweave_net::Timestamp;

use super::{Prepared, Trace};
use crate::DropReason;
use crate::explain::{Learning, Stage};
use crate::fdb::Assessment;
use crate::head::Head;
use crate::snapshot::Port;

#[inline]
pub(super) fn assess<'a>(
    ingress: &'a Port,
    now: Timestamp,
    head: &Head,
    prepared: &Prepared,
    trace: &mut impl Trace,
) -> Result<Assessment<'a>, DropReason> {
    if !head.source.is_station() {
        trace.stage(|| Stage::Source {
            mac: head.source,
            learning: Learning::NoStation,
        });
        return Err(if head.source.is_zero() {
            DropReason::SourceZero
        } else {
            DropReason::SourceGroup
        });
    }
    let assessment = ingress.network.fdb.assess(prepared.source, ingress.no, now);
    trace.stage(|| Stage::Source {
        mac: head.source,
        learning: Learning::from(assessment),
    });
    Ok(assessment)
}
