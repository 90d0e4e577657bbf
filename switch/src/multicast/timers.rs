//! How long things last, and what is due when.
//!
//! Each membership, router port and overfull port has exactly one entry in the queue. When it is renewed
//! the entry stays and is put off when it comes up, so that a host that reports all the time costs one
//! look at a map and the queue cannot grow.

use core::time::Duration;
use std::collections::BTreeSet;

use tapweave_net::{PortNo, Timestamp};

use super::Family;
use super::membership::Key;

/// How many queries or reports in a row may get lost (RFC 3376 §8.1, RFC 3810 §9.1).
pub(super) const ROBUSTNESS: u8 = 2;
/// Time between general queries (RFC 3376 §8.2, RFC 3810 §9.2).
pub(super) const QUERY_INTERVAL: Duration = Duration::from_secs(125);
/// How long hosts may wait with the answer to a general query (RFC 3376 §8.3, RFC 3810 §9.3).
pub(super) const RESPONSE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a membership lasts: robustness times query interval plus response interval (RFC 3376 §8.4,
/// RFC 3810 §9.4).
pub(super) const MEMBERSHIP_INTERVAL: Duration = Duration::from_secs(260);
/// How long a querier or router is there after its last query: robustness times query interval plus half
/// the response interval (RFC 3376 §8.5, RFC 3810 §9.5).
pub(super) const QUERIER_INTERVAL: Duration = Duration::from_secs(255);
/// Time between the first two general queries: a quarter of the query interval (RFC 3376 §8.6,
/// RFC 3810 §9.6).
pub(super) const STARTUP_INTERVAL: Duration = Duration::from_millis(31_250);
/// Time between the questions after a leave, and the response time that they give (RFC 3376 §8.8,
/// RFC 3810 §9.8).
pub(super) const LAST_MEMBER_INTERVAL: Duration = Duration::from_secs(1);
/// How many questions are asked after a leave (RFC 3376 §8.9, RFC 3810 §9.9).
pub(super) const LAST_MEMBER_COUNT: u8 = ROBUSTNESS;

/// Something that comes to its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// A membership.
    Membership(Key, PortNo),
    /// A router port.
    Router(PortNo, Family),
    /// A port that gets everything because its memberships do not fit.
    Overfull(PortNo),
}

/// What is due when.
#[derive(Default)]
pub(super) struct Timers(BTreeSet<(Timestamp, Timer)>);

impl Timers {
    /// Wakes `timer` at `at`.
    pub(super) fn set(&mut self, at: Timestamp, timer: Timer) {
        self.0.insert((at, timer));
    }

    /// Forgets `timer`, which was set for `at`.
    pub(super) fn clear(&mut self, at: Timestamp, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    /// Takes one timer that is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Timer> {
        let &(at, timer) = self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first();
        Some(timer)
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
