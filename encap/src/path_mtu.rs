//! How large an outer packet the path to a peer takes, where no router says so.
//!
//! # Theory of operation
//!
//! Outer packets are never fragmented, so one that is too large for a link on the way is lost. The
//! ICMP message of the router that dropped it (RFC 1191, RFC 8201) goes to the kernel, which knows
//! from it, from its routes and from its link how large a packet may be: the *ceiling*. Where such
//! messages do not arrive, only the silence after a probe tells (RFC 8899). This machine says which
//! sizes to probe when; what a probe is, sockets and clocks are the caller's.
//!
//! ```text
//!             ┌────────────── wait 1 min ◄───────────────┐
//!             ▼                                          │ answered, or nothing left to try
//!  ┌───────────────────┐ 3 lost ┌──────────────┐ answered ┌────────────────────────┐
//!  │ Check: does it    ├───────►│ Base: does a ├─────────►│ Search: halves what is │
//!  │ still fit?        │        │ smaller one? │          │ left, after one more   │
//!  └─────────┬─────────┘        └──────┬───────┘          │ try, until 8 bytes are │
//!            │                         │                  └───────────┬────────────┘
//!            └── answered: it is that  └── 3 lost: nobody answers     └── it is what was answered
//! ```
//!
//! - Every minute the value is checked, so that a path that became narrower is noticed; ten minutes
//!   after it was found to be less than the ceiling, the ceiling is (`PMTU_RAISE_TIMER` of RFC 8899
//!   §5.1.1).
//! - A probe that is answered proves its size; one that is lost three times (`MAX_PROBES`) counts
//!   as too large, but only while smaller ones are answered, and when it is lost again. A peer that
//!   answers nothing proves nothing: after ten minutes without an answer the value is the ceiling
//!   again.
//! - While a search is under way the value is what was proved last, so no packet is sent into a
//!   black hole that is known.
//!
//! A probe is whatever is answered at that size without fragmentation.

use core::time::Duration;

use tapweave_net::Timestamp;

use crate::{EncapKind, Underlay};

/// What is known of the path to one peer. Sizes are of outer packets in bytes, IP header included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathMtu {
    min: u16,
    ceiling: u16,
    current: u16,
    phase: Phase,
    /// When the ceiling is checked again; none before the first check.
    raise_at: Option<Timestamp>,
    last_answer: Option<Timestamp>,
}

/// That a path takes less than the kernel knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundPath {
    /// The largest outer packet that was answered, in bytes.
    pub size: u16,
    /// When a probe was last answered.
    pub answered: Timestamp,
    /// When more is tried again.
    pub raise_at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing to do before this time.
    Wait(Timestamp),
    /// Is it this size?
    Check(Probe),
    /// Does anybody answer what the value is, or [`PathMtu::BASE`], or else the least? `high` was not
    /// answered.
    Base { probe: Probe, high: u16 },
    /// `low` was answered, `high` was not, and `probe` is between them or the second try of `high`.
    Search { probe: Probe, low: u16, high: u16 },
}

/// A size that is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Probe {
    size: u16,
    sent_count: u8,
    /// When the last one is given up.
    deadline: Timestamp,
}

impl PathMtu {
    /// How long a value below the ceiling stays before the ceiling is tried again.
    pub const RAISE_AFTER: Duration = Duration::from_mins(10);
    /// After which the value is checked again: what a path may be a black hole for that becomes
    /// narrower, and what one packet of its size costs nobody.
    pub const CONFIRM_AFTER: Duration = Duration::from_mins(1);
    /// How long an answer is waited for. RFC 8899 §5.1.1 forbids less than one second, and wants 15
    /// where nothing is known of the path; three times this is what a black hole costs here.
    pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
    /// How often a size is tried (RFC 8899 §5.1.2).
    pub const MAX_PROBES: u8 = 3;
    /// What nearly every path takes, and what leaves room for the IPv6 packet of 1,280 bytes that every
    /// link must carry in any tunnel (the `BASE_PLPMTU` of RFC 8899 §5.1.2, which is 1200 for UDP).
    const BASE: u16 = 1280 + EncapKind::Vxlan.overhead(Underlay::V6);
    /// Differences that are not worth another three probes.
    const RESOLUTION: u16 = 8;

    /// Returns what is believed of a path of which the kernel says that it takes `ceiling` bytes:
    /// that it does. The first [`PathMtu::poll_probe`] begins to check that.
    pub const fn new(underlay: Underlay, ceiling: u16) -> Self {
        let min = underlay.min_path_mtu();
        let ceiling = if ceiling < min { min } else { ceiling };
        Self {
            min,
            ceiling,
            current: ceiling,
            phase: Phase::Check(Probe::new(ceiling)),
            raise_at: None,
            last_answer: None,
        }
    }

    /// Returns what was found, for a machine of a later process; nothing where it is no less than the ceiling. While the
    /// first search is under way it is what was proved last, and more is to be tried at once.
    pub fn found(&self) -> Option<FoundPath> {
        let answered = self.last_answer?;
        let raise_at = self.raise_at.unwrap_or(answered);
        (self.current < self.ceiling).then_some(FoundPath {
            size: self.current,
            answered,
            raise_at,
        })
    }

    /// Goes on with what the machine of an earlier process found, which is checked at once, or searched on from if it is
    /// time for more. What cannot be, or is as old as what is not believed any more, is left out.
    pub fn resume(&mut self, found: FoundPath, now: Timestamp) {
        let answered = found.answered.min(now);
        let is_believed = now.since(answered) < Self::RAISE_AFTER;
        if !is_believed || found.size < self.min || found.size >= self.ceiling {
            return;
        }
        self.current = found.size;
        self.last_answer = Some(answered);
        self.raise_at = Some(found.raise_at.min(now + Self::RAISE_AFTER));
        let is_due = found.raise_at <= now;
        let size = if is_due { self.ceiling } else { found.size };
        self.phase = Phase::Check(Probe::new(size));
    }

    /// Returns the largest outer packet that is sent to the peer.
    pub const fn current(&self) -> u16 {
        self.current
    }

    /// The kernel says that the path takes `ceiling` bytes now. If that is something new it is
    /// checked at once; what was found to be less stays until more is proved.
    pub fn handle_ceiling(&mut self, ceiling: u16) {
        let ceiling = ceiling.max(self.min);
        if ceiling == self.ceiling {
            return;
        }
        let is_lowered = self.current < self.ceiling;
        self.current = if is_lowered {
            self.current.min(ceiling)
        } else {
            ceiling
        };
        self.ceiling = ceiling;
        self.phase = Phase::Check(Probe::new(ceiling));
    }

    /// The peer answered a probe of `size` bytes. An answer to another size than the last counts
    /// for nothing.
    pub fn handle_answer(&mut self, now: Timestamp, size: u16) {
        if self.probed() != Some(size) {
            return;
        }
        self.last_answer = Some(now);
        self.current = size;
        match self.phase {
            Phase::Wait(_) | Phase::Check(_) => self.wait(now),
            // Three may be lost by a path that was gone for a moment: one more.
            Phase::Base { high, .. } => {
                let (probe, low) = (Probe::last_of(high), size);
                self.phase = Phase::Search { probe, low, high };
            }
            Phase::Search { high, .. } => self.search(now, size, high),
        }
    }

    /// Returns the size of the probe whose answer is waited for.
    pub fn probed(&self) -> Option<u16> {
        let probe = self.phase.probe()?;
        (probe.sent_count > 0).then_some(probe.size)
    }

    /// Returns when [`PathMtu::poll_probe`] has something to do.
    pub const fn poll_timeout(&self) -> Timestamp {
        match self.phase {
            Phase::Wait(until) => until,
            Phase::Check(probe) | Phase::Base { probe, .. } | Phase::Search { probe, .. } => {
                probe.deadline
            }
        }
    }

    /// Lets time pass, and returns the size of a probe that is to be sent now.
    pub fn poll_probe(&mut self, now: Timestamp) -> Option<u16> {
        if self.poll_timeout() > now {
            return None;
        }
        let is_given_up = |probe: Probe| probe.sent_count == Self::MAX_PROBES;
        match self.phase {
            Phase::Wait(_) => {
                let size = if self.raise_at.is_none_or(|at| at <= now) {
                    self.ceiling
                } else {
                    self.current
                };
                self.phase = Phase::Check(Probe::new(size));
            }
            Phase::Check(probe) if is_given_up(probe) => {
                let is_lowered = self.current < probe.size;
                let size = if is_lowered {
                    self.current
                } else if Self::BASE < probe.size {
                    Self::BASE
                } else {
                    self.min
                };
                self.phase = Phase::Base {
                    probe: Probe::new(size),
                    high: probe.size,
                };
            }
            Phase::Base { probe, .. } if is_given_up(probe) && probe.size > self.min => {
                self.phase = Phase::Base {
                    probe: Probe::new(self.min),
                    high: probe.size,
                };
            }
            Phase::Base { probe, .. } if is_given_up(probe) => {
                let is_proved = |at| now.since(at) < Self::RAISE_AFTER;
                if !self.last_answer.is_some_and(is_proved) {
                    self.current = self.ceiling;
                }
                self.wait(now);
            }
            Phase::Search { probe, low, .. } if is_given_up(probe) => {
                self.search(now, low, probe.size);
            }
            Phase::Check(_) | Phase::Base { .. } | Phase::Search { .. } => {}
        }
        let probe = self.phase.probe_mut()?;
        probe.sent_count += 1;
        probe.deadline = now + Self::PROBE_TIMEOUT;
        Some(probe.size)
    }

    fn wait(&mut self, now: Timestamp) {
        if self.raise_at.is_none_or(|at| at <= now) || self.current == self.ceiling {
            self.raise_at = Some(now + Self::RAISE_AFTER);
        }
        self.phase = Phase::Wait(now + Self::CONFIRM_AFTER);
    }

    /// Tries the middle between what was answered and what was not, unless they are close.
    fn search(&mut self, now: Timestamp, low: u16, high: u16) {
        if high.saturating_sub(low) <= Self::RESOLUTION {
            return self.wait(now);
        }
        let probe = Probe::new(low.midpoint(high));
        self.phase = Phase::Search { probe, low, high };
    }
}

impl Phase {
    const fn probe(&self) -> Option<&Probe> {
        match self {
            Self::Wait(_) => None,
            Self::Check(probe) | Self::Base { probe, .. } | Self::Search { probe, .. } => {
                Some(probe)
            }
        }
    }

    const fn probe_mut(&mut self) -> Option<&mut Probe> {
        match self {
            Self::Wait(_) => None,
            Self::Check(probe) | Self::Base { probe, .. } | Self::Search { probe, .. } => {
                Some(probe)
            }
        }
    }
}

impl Probe {
    /// A probe that is due at once.
    const fn new(size: u16) -> Self {
        Self {
            size,
            sent_count: 0,
            deadline: Timestamp::ZERO,
        }
    }

    /// The last try of a size, due at once.
    const fn last_of(size: u16) -> Self {
        Self {
            sent_count: PathMtu::MAX_PROBES - 1,
            ..Self::new(size)
        }
    }
}

#[cfg(test)]
mod tests;
