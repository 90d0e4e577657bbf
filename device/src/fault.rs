//! A port that loses, doubles, damages and swaps frames on purpose.
//!
//! It wraps another port and spoils what is *sent* to it, as `tc netem` does; to spoil the other
//! direction too, wrap the port at that end. The same seed and the same frames give the same faults.
//!
//! Each frame is drawn for, in this order: lost; damaged (one bit flipped); held back until the next
//! frame has gone; doubled. At most one frame is held back at a time, and there is no clock here: the
//! last frame of a run can stay held until another follows or the port is dropped.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

use tapweave_net::{Frame, Offload, OffloadSet};

use crate::queue::{HEADROOM, PortQueue, Received, SendError};

/// A share of frames, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Probability(u32);

impl Probability {
    /// No frame.
    pub const NEVER: Self = Self(0);
    /// Every frame.
    pub const ALWAYS: Self = Self(1_000_000);

    /// Returns `millionths` of all frames; none above a million.
    pub const fn from_millionths(millionths: u32) -> Option<Self> {
        if millionths <= Self::ALWAYS.0 {
            Some(Self(millionths))
        } else {
            None
        }
    }
}

/// Which faults, and how often. The default is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Start of the pseudo-random sequence.
    pub seed: u64,
    /// Frames that disappear; the sender is told nothing.
    pub drop: Probability,
    /// Frames in which one bit is flipped, anywhere.
    pub corrupt: Probability,
    /// Frames that go after the one that follows them.
    pub reorder: Probability,
    /// Frames that go twice.
    pub duplicate: Probability,
}

/// A port that spoils what is sent through it.
#[derive(Debug)]
pub struct FaultyPort<Q> {
    inner: Q,
    faults: Faults,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: SplitMix64,
    held: Option<(Vec<u8>, Offload)>,
}

impl<Q: PortQueue> FaultyPort<Q> {
    /// Returns `inner` behind a sender that makes `faults`.
    pub fn new(inner: Q, faults: Faults) -> Self {
        let state = State {
            random: SplitMix64(faults.seed),
            held: None,
        };
        Self {
            inner,
            faults,
            state: Mutex::new(state),
        }
    }

    /// Sends a copy in which one bit is flipped; the caller's frame may go to other ports too.
    fn send_corrupt(&self, frame: &Frame<'_>, random: &mut SplitMix64) -> Result<(), SendError> {
        let mut bytes = copy_of(frame);
        let bit = random.below(8 * (bytes.len() - HEADROOM));
        if let Some(byte) = bytes.get_mut(HEADROOM + bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        self.inner
            .send(&mut Frame::new(&mut bytes, HEADROOM, frame.offload()))
    }
}

impl<Q: PortQueue> PortQueue for FaultyPort<Q> {
    fn offloads(&self) -> OffloadSet {
        self.inner.offloads()
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.inner.readiness()
    }

    fn recv<'b>(&self, buf: &'b mut [u8]) -> io::Result<Received<'b>> {
        self.inner.recv(buf)
    }

    fn send(&self, frame: &mut Frame<'_>) -> Result<(), SendError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { random, held } = &mut *state;
        if random.hits(self.faults.drop) {
            return Ok(());
        }
        if random.hits(self.faults.corrupt) {
            return self.send_corrupt(frame, random);
        }
        if held.is_none() && random.hits(self.faults.reorder) {
            *held = Some((copy_of(frame), frame.offload()));
            return Ok(());
        }
        self.inner.send(frame)?;
        if random.hits(self.faults.duplicate) {
            self.inner.send(frame)?;
        }
        match held.take() {
            Some((mut bytes, offload)) => self
                .inner
                .send(&mut Frame::new(&mut bytes, HEADROOM, offload)),
            None => Ok(()),
        }
    }
}

fn copy_of(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = vec![0; HEADROOM];
    bytes.extend_from_slice(frame.data());
    bytes
}

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): small,
/// and good enough to choose frames by.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`; zero when `end` is.
    fn below(&mut self, end: usize) -> usize {
        let product = u128::from(self.next()) * (end as u128);
        usize::try_from(product >> 64).unwrap_or_default()
    }

    fn hits(&mut self, probability: Probability) -> bool {
        probability != Probability::NEVER && self.below(1_000_000) < probability.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryPort;
    use crate::queue::RECV_BUF_LEN;

    const COUNT: u16 = 1000;

    /// Sends frames 0 to 999 and returns the numbers that arrive, with how many bits are wrong.
    fn run(faults: Faults) -> Vec<(u16, u32)> {
        let (near, far) = MemoryPort::pair(4096, OffloadSet::EMPTY).unwrap();
        let port = FaultyPort::new(near, faults);
        for number in 0..COUNT {
            let mut bytes = [0; 60];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            let before = bytes;
            port.send(&mut Frame::new(&mut bytes, 0, Offload::NONE))
                .unwrap();
            assert_eq!(bytes, before, "the caller's frame is left alone");
        }
        let mut arrived = Vec::new();
        let mut buf = vec![0; RECV_BUF_LEN];
        while let Ok(Received::Frame(frame)) = far.recv(&mut buf) {
            let (number, rest) = frame.data().split_first_chunk().unwrap();
            let wrong = rest.iter().map(|byte| byte.count_ones()).sum();
            arrived.push((u16::from_be_bytes(*number), wrong));
        }
        arrived
    }

    fn share(percent: u32) -> Probability {
        Probability::from_millionths(percent * 10_000).unwrap()
    }

    #[test]
    fn without_faults_every_frame_arrives_once_and_in_order() {
        let expected: Vec<_> = (0..COUNT).map(|number| (number, 0)).collect();
        assert_eq!(run(Faults::default()), expected);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_seed_others() {
        let faults = |seed| Faults {
            seed,
            drop: share(10),
            corrupt: share(10),
            reorder: share(10),
            duplicate: share(10),
        };
        assert_eq!(run(faults(1)), run(faults(1)));
        assert_ne!(run(faults(1)), run(faults(2)));
    }

    #[test]
    fn a_tenth_is_lost_when_a_tenth_is_asked_for() {
        let drop = share(10);
        let lost = COUNT as usize
            - run(Faults {
                drop,
                ..Faults::default()
            })
            .len();
        // Five standard deviations of a binomial of 1000 and 0.1 are 47.
        assert!((53..=147).contains(&lost), "{lost}");
    }

    #[test]
    fn certain_faults_befall_every_frame() {
        let drop = Probability::ALWAYS;
        assert!(
            run(Faults {
                drop,
                ..Faults::default()
            })
            .is_empty()
        );
        let duplicate = Probability::ALWAYS;
        let twice = run(Faults {
            duplicate,
            ..Faults::default()
        });
        assert!(twice.len() == 2000 && twice.chunks(2).all(|pair| pair[0] == pair[1]));
        let reorder = Probability::ALWAYS;
        let swapped = run(Faults {
            reorder,
            ..Faults::default()
        });
        assert_eq!(swapped[..4], [(1, 0), (0, 0), (3, 0), (2, 0)]);
        assert_eq!(swapped.len(), COUNT as usize);
    }

    #[test]
    fn a_damaged_frame_differs_in_one_bit() {
        let corrupt = Probability::ALWAYS;
        let damaged = run(Faults {
            corrupt,
            ..Faults::default()
        });
        assert_eq!(damaged.len(), COUNT as usize);
        let in_rest = damaged.iter().filter(|(_, wrong)| *wrong == 1).count();
        let in_number = (0..COUNT)
            .zip(&damaged)
            .filter(|(sent, (got, wrong))| (sent ^ got).is_power_of_two() && *wrong == 0)
            .count();
        assert_eq!(in_rest + in_number, COUNT as usize);
        assert!(in_rest > 0 && in_number > 0);
    }

    #[test]
    fn an_empty_frame_is_not_a_problem() {
        let (near, _far) = MemoryPort::pair(4, OffloadSet::EMPTY).unwrap();
        let faults = Faults {
            corrupt: Probability::ALWAYS,
            ..Faults::default()
        };
        let port = FaultyPort::new(near, faults);
        port.send(&mut Frame::new(&mut [], 0, Offload::NONE))
            .unwrap();
        assert_eq!(Probability::from_millionths(1_000_001), None);
    }
}
