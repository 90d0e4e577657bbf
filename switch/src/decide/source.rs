//! The stage that asks who sent it, and what the FDB has to learn from that.

use tapweave_net::Timestamp;

use super::{Prepared, Trace};
use crate::explain::{Learning, Stage};
use crate::fdb::Assessment;
use crate::head::Head;
use crate::snapshot::Port;
use crate::{DropReason, FdbOrigin, Stations};

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
    let admitted = admit(ingress, prepared, assessment);
    trace.stage(|| Stage::Source {
        mac: head.source,
        learning: match admitted {
            Ok(()) => Learning::from(assessment),
            Err(reason) => Learning::Refused(reason),
        },
    });
    admitted.map(|()| assessment)
}

/// Applies the rules of the port on which stations may send.
#[inline]
fn admit(
    ingress: &Port,
    prepared: &Prepared,
    assessment: Assessment<'_>,
) -> Result<(), DropReason> {
    let fdb = &ingress.network.fdb;
    if ingress.stations == Stations::Locked && !fdb.is_static_at(prepared.source, ingress.no) {
        return Err(DropReason::Locked);
    }
    let is_one_more = match assessment {
        Assessment::Held(entry) if entry.origin() == FdbOrigin::Sticky => {
            return Err(DropReason::StickyElsewhere);
        }
        Assessment::Off | Assessment::Known | Assessment::Refresh(_) | Assessment::Held(_) => false,
        Assessment::Revive(entry) => entry.port() != ingress.no,
        Assessment::Move(_) | Assessment::New => true,
    };
    match ingress.mac_limit {
        // Workers that learn at the same moment may go one beyond the limit each.
        Some(limit) if is_one_more && fdb.learned_count(ingress.no) >= limit.get() => {
            Err(DropReason::MacLimit)
        }
        Some(_) | None => Ok(()),
    }
}
