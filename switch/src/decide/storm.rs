//! The stage that asks what a flooded frame is counted against. Counting changes a meter, so it is
//! left to the pipeline, and `explain` only asks whether it would be counted.

use tapweave_net::{Frame, Timestamp};

use super::destination::Target;
use crate::head::Head;
use crate::meter::Meter;
use crate::snapshot::Port;
use crate::{DropReason, StormClass, Verdict};

/// What a frame costs.
pub(crate) struct Charge<'a> {
    meter: &'a Meter,
    class: StormClass,
    frame_count: u64,
}

impl<'a> Charge<'a> {
    /// Returns what a frame from `ingress` to `target` costs, `None` when it is not limited.
    #[inline]
    pub(super) fn new(
        ingress: &'a Port,
        frame: &Frame<'_>,
        head: &Head,
        target: Target<'_>,
        verdict: Verdict,
    ) -> Option<Self> {
        let meters = ingress.storm.as_ref()?;
        if matches!(verdict, Verdict::Drop(_)) {
            return None;
        }
        let class = match target {
            Target::Group | Target::Question if head.destination.is_broadcast() => {
                StormClass::Broadcast
            }
            Target::Group | Target::Question => StormClass::Multicast,
            Target::Unknown => StormClass::Unknown,
            Target::Reserved
            | Target::Sender
            | Target::Gateway
            | Target::Answered(_)
            | Target::Port(..) => return None,
        };
        Some(Self {
            meter: meters.of(class)?,
            class,
            frame_count: head.segment_count(frame.data(), frame.offload()),
        })
    }

    /// Counts the frame.
    ///
    /// # Errors
    ///
    /// The reason to drop it when it is above the limit.
    pub(crate) fn take(&self, now: Timestamp) -> Result<(), DropReason> {
        if self.meter.take(self.frame_count, now) {
            Ok(())
        } else {
            Err(self.class.drop_reason())
        }
    }

    /// Does what [`Charge::take`] does without counting.
    ///
    /// # Errors
    ///
    /// As [`Charge::take`].
    pub(crate) fn quote(&self, now: Timestamp) -> Result<(), DropReason> {
        if self.meter.would_take(self.frame_count, now) {
            Ok(())
        } else {
            Err(self.class.drop_reason())
        }
    }

    /// Returns the class of the frame.
    pub(crate) const fn class(&self) -> StormClass {
        self.class
    }
}
