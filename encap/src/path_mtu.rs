//! How large an outer packet the path to a peer takes.
//!
//! # Theory of operation
//!
//! Outer packets are never fragmented, so one that is too large for a link on the way is lost. Two
//! things tell that: an ICMP message of the router that dropped it (RFC 1191, RFC 8201), and the
//! silence after a probe (RFC 8899). This machine takes both; sockets and clocks are the caller's.
//!
//! ```text
//!             ┌────────────── wait 10 min ◄──────────────┐
//!             ▼                                          │ answered, or nothing left to try
//!  ┌───────────────────┐ 3 lost ┌──────────────┐ answered ┌────────────────────────┐
//!  │ Check: the largest├───────►│ Base: what it├─────────►│ Search: halves what is │
//!  │ that may fit      │        │ was, or least│          │ left until 8 bytes are │
//!  └─────────┬─────────┘        └──────┬───────┘          └───────────┬────────────┘
//!            └── answered: it is that  └── 3 lost: nobody answers     └── it is what was answered
//! ```
//!
//! - A too-big message lowers the value at once, never below what every host takes
//!   ([`Underlay::min_path_mtu`]): a smaller one is forged or of no use. The caller has checked
//!   that it quotes a packet which it sent (RFC 8899 §4.6.1).
//! - What was lowered is tried again after ten minutes (RFC 1191 §6.3, the `PMTU_RAISE_TIMER` of
//!   RFC 8899 §5.1.1).
//! - A probe that is answered proves its size; one that is lost three times (`MAX_PROBES`) counts
//!   as too large, but only while smaller ones are answered. A peer that answers nothing proves
//!   nothing: what ICMP said of it expires to the largest after the round that follows ten minutes
//!   later. What was proved outlasts one silent round, since the peer may be down.
//! - While a search is under way the value is what was proved last, so no packet is sent into a
//!   black hole that is known.
//!
//! A probe is whatever the peer's host answers at that size without fragmentation, for example an
//! ICMP echo with DF.

use core::time::Duration;

use tapweave_net::Timestamp;

use crate::Underlay;

/// What is known of the path to one peer. Sizes are of outer packets in bytes, IP header included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathMtu {
    min: u16,
    max: u16,
    current: u16,
    probing: Probing,
    phase: Phase,
    /// Whether a probe was answered since the last round in which none was.
    is_answering: bool,
}

/// Whether probes are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Probing {
    /// They are.
    On,
    /// They are not: only ICMP tells.
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing to do before this time; `None` for never.
    Wait(Option<Timestamp>),
    /// Is it this size?
    Check(Probe),
    /// Does anybody answer what the value is, or else the least? `high` was not answered.
    Base { probe: Probe, high: u16 },
    /// `low` was answered, `high` was not, and `probe` is between them.
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
    /// How long a value that was lowered stays, and after which a path is checked again.
    pub const RAISE_AFTER: Duration = Duration::from_mins(10);
    /// How long an answer is waited for. RFC 8899 §5.1.1 forbids less than one second, and wants 15
    /// where nothing is known of the path; three times two seconds is what a black hole may cost
    /// here.
    pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
    /// How often a size is tried (RFC 8899 §5.1.2).
    pub const MAX_PROBES: u8 = 3;
    /// Differences that are not worth another three probes.
    const RESOLUTION: u16 = 8;

    /// Returns what is believed of a path that begins with a link of `link_mtu` bytes: that it
    /// takes as much. With [`Probing::On`] the first [`PathMtu::poll_probe`] begins to check that.
    pub const fn new(underlay: Underlay, link_mtu: u16, probing: Probing) -> Self {
        let min = underlay.min_path_mtu();
        let max = if link_mtu < min { min } else { link_mtu };
        Self {
            min,
            max,
            current: max,
            probing,
            phase: match probing {
                Probing::On => Phase::Check(Probe::new(max)),
                Probing::Off => Phase::Wait(None),
            },
            is_answering: false,
        }
    }

    /// Returns the largest outer packet that is sent to the peer.
    pub const fn current(&self) -> u16 {
        self.current
    }

    /// A router said that `mtu` is the largest that it forwards.
    pub fn handle_too_big(&mut self, now: Timestamp, mtu: u16) {
        let mtu = mtu.max(self.min);
        if mtu < self.current {
            self.current = mtu;
            self.wait(now);
            return;
        }
        // About a probe: the router has named the next size to try.
        if self.phase.probe().is_some_and(|probe| mtu < probe.size) {
            if mtu == self.current {
                self.wait(now);
            } else {
                self.phase = Phase::Check(Probe::new(mtu));
            }
        }
    }

    /// The peer answered a probe of `size` bytes. An answer to another size than the last counts
    /// for nothing.
    pub fn handle_answer(&mut self, now: Timestamp, size: u16) {
        if self.phase.probe().is_none_or(|probe| probe.size != size) {
            return;
        }
        self.is_answering = true;
        self.current = size;
        match self.phase {
            Phase::Wait(_) | Phase::Check(_) => self.wait(now),
            Phase::Base { high, .. } | Phase::Search { high, .. } => self.search(now, size, high),
        }
    }

    /// The link that the path begins with takes `link_mtu` bytes now; everything else is forgotten.
    pub fn handle_link_mtu(&mut self, underlay: Underlay, link_mtu: u16) {
        *self = Self::new(underlay, link_mtu, self.probing);
    }

    /// Returns when [`PathMtu::poll_probe`] has something to do, `None` when only an event can
    /// bring that.
    pub const fn poll_timeout(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Wait(until) => until,
            Phase::Check(probe) | Phase::Base { probe, .. } | Phase::Search { probe, .. } => {
                Some(probe.deadline)
            }
        }
    }

    /// Lets time pass, and returns the size of a probe that is to be sent now.
    pub fn poll_probe(&mut self, now: Timestamp) -> Option<u16> {
        if self.poll_timeout()? > now {
            return None;
        }
        let is_given_up = |probe: Probe| probe.sent_count == Self::MAX_PROBES;
        match self.phase {
            Phase::Wait(_) => {
                self.phase = match self.probing {
                    Probing::On => Phase::Check(Probe::new(self.max)),
                    Probing::Off => {
                        self.current = self.max;
                        Phase::Wait(None)
                    }
                };
            }
            Phase::Check(probe) if is_given_up(probe) => {
                let is_lowered = self.current < probe.size;
                let size = if is_lowered { self.current } else { self.min };
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
                // It may be down: what was proved of it is kept for another round.
                if !self.is_answering {
                    self.current = self.max;
                }
                self.is_answering = false;
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
        self.phase = Phase::Wait(Some(now + Self::RAISE_AFTER));
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
}

#[cfg(test)]
mod tests;
