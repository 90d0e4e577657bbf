//! How many frames a port may have flooded a second.
//!
//! It decides on a count and a time, and knows neither frames nor ports: the pipeline says which class
//! a frame is in and how many frames it stands for.
//!
//! # Theory of operation
//!
//! A flooded frame costs a copy a port, so one sandbox can make a switch with a thousand ports copy a
//! thousand times what it sends. Each port therefore may have a limit on each class of frames that are
//! copied: broadcast, multicast, and unicast to a station that nobody knows. As the storm control of
//! switch vendors does, it counts frames and looks at a second at a time: a port that has been quiet
//! may send a second's worth at once.
//!
//! There is no limit unless one is asked for. No number suits everybody, a limit that bites looks like
//! a broken network, and unicast is not starved by floods anyway, since the work for floods is bounded
//! in each batch.

use core::fmt;
use core::num::NonZeroU32;

use crate::DropReason;
use crate::meter::Meter;

/// Most frames a second that each port of a network may have flooded; no limit for `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StormLimits {
    /// Frames to the broadcast address.
    pub broadcast: Option<FrameRate>,
    /// Frames to other groups, whether the switch knows who listens or not.
    pub multicast: Option<FrameRate>,
    /// Frames to a station that the FDB does not know.
    pub unknown: Option<FrameRate>,
}

impl StormLimits {
    /// No limits.
    pub const NONE: Self = Self {
        broadcast: None,
        multicast: None,
        unknown: None,
    };
}

/// Frames a second: 1 to [`FrameRate::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FrameRate(NonZeroU32);

impl FrameRate {
    /// The largest rate. More than any link carries, and low enough that rounding to nanoseconds does
    /// not make it more than 1 % faster than it says.
    pub const MAX: u32 = 10_000_000;

    /// Returns a rate of `per_second` frames, `None` when that is zero or too large.
    pub const fn new(per_second: u32) -> Option<Self> {
        match NonZeroU32::new(per_second) {
            Some(rate) if per_second <= Self::MAX => Some(Self(rate)),
            Some(_) | None => None,
        }
    }

    /// Returns the frames a second.
    pub const fn per_second(self) -> u32 {
        self.0.get()
    }
}

/// The classes of frames that are limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StormClass {
    /// To everybody.
    Broadcast,
    /// To a group.
    Multicast,
    /// To a station that nobody knows.
    Unknown,
}

impl StormClass {
    /// Returns the reason that a frame above the limit is dropped for.
    pub const fn drop_reason(self) -> DropReason {
        match self {
            Self::Broadcast => DropReason::StormBroadcast,
            Self::Multicast => DropReason::StormMulticast,
            Self::Unknown => DropReason::StormUnknown,
        }
    }
}

impl fmt::Display for StormClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broadcast => "broadcast",
            Self::Multicast => "multicast",
            Self::Unknown => "unknown unicast",
        })
    }
}

/// The meters of one port.
#[derive(Debug)]
pub(crate) struct StormMeters {
    broadcast: Option<Meter>,
    multicast: Option<Meter>,
    unknown: Option<Meter>,
}

impl StormMeters {
    /// Returns meters for `limits`, `None` when there are none.
    pub(crate) fn new(limits: StormLimits) -> Option<Self> {
        let meter = |FrameRate(per_second)| Meter::new(per_second);
        (limits != StormLimits::NONE).then(|| Self {
            broadcast: limits.broadcast.map(meter),
            multicast: limits.multicast.map(meter),
            unknown: limits.unknown.map(meter),
        })
    }

    /// Returns the meter of `class`, if it is limited.
    pub(crate) const fn of(&self, class: StormClass) -> Option<&Meter> {
        match class {
            StormClass::Broadcast => self.broadcast.as_ref(),
            StormClass::Multicast => self.multicast.as_ref(),
            StormClass::Unknown => self.unknown.as_ref(),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn rates_of_zero_and_beyond_the_largest_are_none() {
        assert_eq!(FrameRate::new(0), None);
        assert_eq!(FrameRate::new(FrameRate::MAX + 1), None);
        assert_eq!(FrameRate::new(7).unwrap().per_second(), 7);
    }
}
