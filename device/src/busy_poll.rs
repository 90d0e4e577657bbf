//! How long an event loop looks again and again before it sleeps.
//!
//! Sleeping and being woken costs several microseconds, which a busy processor can spare the frame that
//! comes in the meantime. It takes the time from everybody else, so it is off unless asked for.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A limit of time for looking, measured from [`BusyPoll::begin`].
#[derive(Debug)]
pub(crate) struct BusyPoll {
    limit: Duration,
    began: Timespec,
}

impl BusyPoll {
    /// Makes one that looks for `limit`; zero: not at all, and no clock is read.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            began: Timespec::default(),
        }
    }

    pub(crate) fn begin(&mut self) {
        if !self.limit.is_zero() {
            self.began = clock_gettime(ClockId::Monotonic);
        }
    }

    /// Tells whether to look once more.
    pub(crate) fn goes_on(&self) -> bool {
        !self.limit.is_zero()
            && (clock_gettime(ClockId::Monotonic) - self.began)
                .try_into()
                .is_ok_and(|passed: Duration| passed < self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_there_is_no_second_look_and_with_one_it_ends() {
        let mut none = BusyPoll::new(Duration::ZERO);
        none.begin();
        assert!(!none.goes_on());
        let mut long = BusyPoll::new(Duration::from_secs(1000));
        long.begin();
        assert!(long.goes_on());
        let mut short = BusyPoll::new(Duration::from_nanos(1));
        short.begin();
        while short.goes_on() {}
    }
}
