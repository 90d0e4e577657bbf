//! Rates: how much in a second.

use std::time::Duration;

/// Frames in a second.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct FrameRate(f64);

impl FrameRate {
    /// Returns the rate of `frame_count` frames in `time`.
    pub fn of(frame_count: u64, time: Duration) -> Self {
        Self(float(frame_count) / time.as_secs_f64())
    }

    /// Returns the rate in millions of frames a second.
    pub fn millions(self) -> f64 {
        self.0 / 1e6
    }
}

/// Bits in a second.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct BitRate(f64);

impl BitRate {
    /// Returns the rate of `len` bytes in `time`.
    pub fn of(len: u64, time: Duration) -> Self {
        Self(float(len) * 8.0 / time.as_secs_f64())
    }

    /// Returns the rate of `bits` bits in a second.
    pub const fn from_bits_per_sec(bits: f64) -> Self {
        Self(bits)
    }

    /// Returns how many bits that are in a second.
    pub const fn bits_per_sec(self) -> f64 {
        self.0
    }

    /// Returns the rate in Gb/s, 10^9 bits a second.
    pub fn gigabits(self) -> f64 {
        self.0 / 1e9
    }
}

/// Returns a count as a number that divides.
#[expect(
    clippy::cast_precision_loss,
    reason = "no run counts 2^53 bytes or frames"
)]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_count_divided_by_its_time() {
        let half = Duration::from_millis(500);
        assert!((FrameRate::of(1_000_000, half).millions() - 2.0).abs() < 1e-9);
        assert!((BitRate::of(125_000_000, half).gigabits() - 2.0).abs() < 1e-9);
        assert!((BitRate::from_bits_per_sec(3e9).gigabits() - 3.0).abs() < 1e-9);
    }
}
