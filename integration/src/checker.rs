//! Checks of recorded frames, to be put together: which frames, then how many.
//!
//! ```
//! # use tapweave_integration::{Checker, frame};
//! let frame = frame::tagged(frame::mac(1), frame::mac(2), "hello");
//! let checker = Checker::new("sandbox a", vec![frame]);
//! assert!(checker.clone().tagged("hello").from(frame::mac(2)).exactly(1).is_ok());
//! assert!(checker.tagged("hello").from(frame::mac(1)).exactly(1).is_err());
//! ```

use anyhow::{Result, bail};
use tapweave_net::MacAddr;

use crate::frame;

/// Most frames that a complaint shows.
const MOST_SHOWN: usize = 20;

/// Frames that were seen at a place, narrowed down step by step.
#[derive(Clone, Debug)]
pub struct Checker {
    place: String,
    wanted: Vec<String>,
    all: Vec<Vec<u8>>,
    left: Vec<Vec<u8>>,
}

impl Checker {
    /// Returns a checker of all `frames` that were seen at `place`.
    pub fn new(place: &str, frames: Vec<Vec<u8>>) -> Self {
        Self {
            place: place.to_owned(),
            wanted: Vec::new(),
            all: frames.clone(),
            left: frames,
        }
    }

    /// Keeps test frames whose payload is exactly `tag`.
    #[must_use]
    pub fn tagged(self, tag: &str) -> Self {
        self.that(&format!("tagged {tag:?}"), |bytes| {
            let payload = bytes.get(frame::HEADER_LEN..).unwrap_or_default();
            frame::ether_type(bytes) == Some(frame::TEST_TYPE)
                && payload
                    .strip_prefix(tag.as_bytes())
                    .is_some_and(|padding| padding.iter().all(|&byte| byte == 0))
        })
    }

    /// Keeps frames from a station.
    #[must_use]
    pub fn from(self, mac: MacAddr) -> Self {
        self.that(&format!("from {mac}"), |bytes| {
            frame::source(bytes) == Some(mac)
        })
    }

    /// Keeps frames to a station or group.
    #[must_use]
    pub fn to(self, mac: MacAddr) -> Self {
        self.that(&format!("to {mac}"), |bytes| {
            frame::destination(bytes) == Some(mac)
        })
    }

    /// Keeps frames of exactly these bytes.
    #[must_use]
    pub fn equal_to(self, expected: &[u8]) -> Self {
        self.that("of the same bytes", |bytes| bytes == expected)
    }

    /// Keeps frames of which `holds` is true; `what` says so in words.
    #[must_use]
    pub fn that(mut self, what: &str, holds: impl Fn(&[u8]) -> bool) -> Self {
        self.wanted.push(what.to_owned());
        self.left.retain(|bytes| holds(bytes));
        self
    }

    /// Requires that exactly `count` frames are left.
    ///
    /// # Errors
    ///
    /// When there are more or fewer; the message shows all frames that were seen.
    pub fn exactly(self, count: usize) -> Result<()> {
        if self.left.len() == count {
            return Ok(());
        }
        let mut shown = String::new();
        for bytes in self.all.iter().take(MOST_SHOWN) {
            shown.push_str("\n  ");
            shown.push_str(&frame::hex(bytes.get(..64).unwrap_or(bytes)));
        }
        bail!(
            "{} frames {} at {}, expected {count}; seen in all: {}{shown}",
            self.left.len(),
            self.wanted.join(" "),
            self.place,
            self.all.len(),
        )
    }

    /// Requires that no frame is left.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub fn none(self) -> Result<()> {
        self.exactly(0)
    }
}
