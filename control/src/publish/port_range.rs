//! A port, or a range of ports that follow each other. Never port 0, which no packet is sent to.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Ports from a first to a last one, both included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// A text that is no range of ports.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PortRangeError {
    /// Not a port.
    #[error("{given:?} is not a port from 1 to 65535")]
    Port {
        /// What was given.
        given: String,
    },
    /// The wrong way round.
    #[error("{first}-{last} is not a range of ports: it ends before it begins")]
    Order {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self {
        first: 1,
        last: u16::MAX,
    };

    /// Returns the ports from `first` to `last`, `None` for port 0 or when there are none between.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || last < first {
            return None;
        }
        Some(Self { first, last })
    }

    /// Returns the first port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// Returns how many ports follow the first one.
    pub const fn further(self) -> u16 {
        // The order is that of `new`.
        self.last.abs_diff(self.first)
    }

    /// Returns the first port that is in `other` as well, `None` when they have none in common.
    pub fn first_common(self, other: Self) -> Option<u16> {
        let first = self.first.max(other.first);
        (first <= self.last.min(other.last)).then_some(first)
    }

    /// Returns the ports.
    pub const fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        Self::new(first, last).ok_or(PortRangeError::Order { first, last })
    }
}

fn port(text: &str) -> Result<u16, PortRangeError> {
    // `parse` would take a sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| is_number && *port != 0);
    port.ok_or_else(|| PortRangeError::Port {
        given: text.to_owned(),
    })
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last > self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

impl TryFrom<String> for PortRange {
    type Error = PortRangeError;

    fn try_from(text: String) -> Result<Self, PortRangeError> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}
