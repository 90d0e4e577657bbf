//! How much a worker takes from one socket before it turns to others.

use tapweave_device::Intake;

/// Bytes after which segments wait no longer for what continues them, although more datagrams wait: four
/// super-frames, which are still in the core's second-level cache (1 to 2 MiB) when they are written.
const MAX_LEN: usize = 256 * 1024;

/// Reads after which the same is so: others wait for this worker too, and 256 short datagrams take about
/// as long as [`MAX_LEN`] bytes of long ones.
const MAX_READS: u32 = 4;

/// What was taken from a socket in one go.
#[derive(Debug, Default)]
pub(super) struct Turn {
    taken_len: usize,
    read_count: u32,
}

impl Turn {
    /// Notes a read of so many bytes, and tells how the turn ends; none when it goes on. A read that was not full left
    /// nothing in the socket.
    pub(super) const fn end_after(&mut self, taken_len: usize, is_full: bool) -> Option<Intake> {
        self.taken_len += taken_len;
        self.read_count += 1;
        if !is_full {
            Some(Intake::Drained)
        } else if self.taken_len >= MAX_LEN || self.read_count == MAX_READS {
            Some(Intake::More)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_when_nothing_is_left_or_others_have_waited() {
        assert!(matches!(
            Turn::default().end_after(9, false),
            Some(Intake::Drained)
        ));
        assert!(matches!(
            Turn::default().end_after(MAX_LEN, true),
            Some(Intake::More)
        ));
        let mut short = Turn::default();
        for _ in 1..MAX_READS {
            assert!(short.end_after(64, true).is_none());
        }
        assert!(matches!(short.end_after(64, true), Some(Intake::More)));
    }
}
