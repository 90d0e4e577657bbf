//! Which external ports a new mapping tries, in which order.
//!
//! # Theory of operation
//!
//! The choice is random (RFC 6056 §3.3.2, algorithm 2, "another simple port randomization"; with a
//! keyed hash for the random numbers): each attempt is at another place of the range, and the places
//! depend on a secret, so that nobody outside can guess the port of a connection that is not his. The
//! walk begins anywhere and goes on by a random step that has no divisor in common with the length of
//! the range, so it visits every port once before it ends, and neighbours are not clustered.
//!
//! - *Range* (RFC 4787 REQ-3): a source port below 1024 leads to one of 512 to 1023, as in Linux, since
//!   there are servers that insist on that. If all of them are taken, any other is better than none.
//! - *Parity* (RFC 4787 REQ-4): an even port leads to an even one and an odd one to an odd one, as long
//!   as one can be had within [`ATTEMPTS`]. RFC 7857 §8 does not ask for that any more; it costs
//!   nothing.
//! - *No overloading* (RFC 4787 REQ-3): an external port belongs to one mapping, whatever the
//!   destinations are. That is the table's doing, which holds one record a key.
//!
//! A search ends after a bounded number of attempts, whether or not it has seen every port. With 64
//! attempts of each parity it fails about once in a million times while nine ports of ten are taken. In
//! ranges of up to 128 ports it sees all.

use core::ops::RangeInclusive;

/// Most ports of one kind (range and parity) that a new mapping tries.
pub(crate) const ATTEMPTS: u32 = 64;

/// The ports for sources below 1024.
const LOW: RangeInclusive<u16> = 512..=1023;

/// Returns the ports to try for a mapping of `port`, each once, the best kind first.
///
/// `random` decides on the places; it is to be different for each mapping.
pub(crate) fn candidates(
    range: &RangeInclusive<u16>,
    port: u16,
    random: u64,
) -> impl Iterator<Item = u16> + use<> {
    let low = (port < 1024).then_some(LOW);
    let ranges = low.into_iter().chain([range.clone()]);
    ranges.flat_map(move |range| {
        [port & 1, !port & 1]
            .into_iter()
            .flat_map(move |parity| Walk::new(&range, parity, random).take(ATTEMPTS as usize))
    })
}

/// Visits the ports of one parity in a range, each once.
struct Walk {
    /// The first port of the parity.
    first: u16,
    /// How many there are.
    count: u32,
    /// The place to visit next, below `count`.
    place: u32,
    step: u32,
    left: u32,
}

impl Walk {
    fn new(range: &RangeInclusive<u16>, parity: u16, random: u64) -> Self {
        let (start, end) = (u32::from(*range.start()), u32::from(*range.end()));
        let first = start + u32::from((range.start() ^ parity) & 1);
        let count = (end + 2).saturating_sub(first) / 2;
        let [low, high] = [random & u64::from(u32::MAX), random >> 32].map(narrow);
        let mut walk = Self {
            first: u16::try_from(first).unwrap_or(u16::MAX),
            count,
            place: 0,
            step: 1,
            left: count,
        };
        if count > 1 {
            walk.place = low % count;
            walk.step = step(high, count);
        }
        walk
    }
}

/// Returns a step below `count`, at least 2, that visits all places of `count`.
fn step(random: u32, count: u32) -> u32 {
    let start = random % count;
    // Among any few numbers in a row there is one without a common divisor.
    (start..count)
        .chain(1..start)
        .find(|&step| gcd(step, count) == 1)
        .unwrap_or(1)
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn narrow(word: u64) -> u32 {
    u32::try_from(word).unwrap_or(u32::MAX)
}

impl Iterator for Walk {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        self.left = self.left.checked_sub(1)?;
        let port = u32::from(self.first) + 2 * self.place;
        self.place = (self.place + self.step) % self.count;
        u16::try_from(port).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::keyed::keyed_hash;

    proptest! {
        #[test]
        fn a_walk_visits_every_port_of_its_parity_once(
            start: u16,
            len in 0_u16..300,
            parity in 0_u16..2,
            random: u64,
        ) {
            let range = start..=start.saturating_add(len);
            let visited: Vec<u16> = Walk::new(&range, parity, random).collect();
            let want: BTreeSet<u16> = range.filter(|port| port & 1 == parity).collect();
            prop_assert_eq!(visited.len(), want.len());
            prop_assert_eq!(visited.into_iter().collect::<BTreeSet<_>>(), want);
        }
    }

    #[test]
    fn rfc4787_req_3_the_range_of_the_port_is_kept_while_there_is_room() {
        let ports: Vec<u16> = candidates(&(1024..=65535), 700, 12345).collect();
        let (low, high) = ports.split_at(128);
        assert!(low.iter().all(|port| (512..=1023).contains(port)));
        assert!(high.iter().all(|port| *port >= 1024));
        assert!(candidates(&(1024..=65535), 5000, 12345).all(|port| port >= 1024));
    }

    #[test]
    fn rfc4787_req_4_the_parity_of_the_port_is_kept_while_there_is_room() {
        for port in [5000, 5001] {
            let ports: Vec<u16> = candidates(&(1024..=65535), port, 99).collect();
            let (same, other) = ports.split_at(64);
            assert!(same.iter().all(|other| other & 1 == port & 1));
            assert!(other.iter().all(|other| other & 1 != port & 1));
        }
    }

    #[test]
    fn rfc6056_ports_are_spread_over_the_whole_range() {
        let firsts: Vec<u16> = (0_u64..4096)
            .filter_map(|n| candidates(&(1024..=65535), 5000, keyed_hash(1, n)).next())
            .collect();
        // 64 parts of the range get 64 each, standard deviation 8.
        let mut parts = [0_u32; 64];
        for port in &firsts {
            parts[usize::from((port - 1024) / 1008)] += 1;
        }
        assert!(
            parts.iter().all(|count| (20..110).contains(count)),
            "{parts:?}"
        );
        assert!(firsts.iter().collect::<BTreeSet<_>>().len() > 3500);
    }

    #[test]
    fn small_and_empty_ranges_are_seen_whole() {
        let all: BTreeSet<u16> = candidates(&(65530..=65535), 5000, 7).collect();
        assert_eq!(all, (65530..=65535).collect());
        assert_eq!(
            candidates(&(7..=7), 5000, u64::MAX).collect::<Vec<_>>(),
            [7]
        );
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
        let empty = 9..=8;
        assert_eq!(candidates(&empty, 5000, 7).count(), 0);
    }
}
