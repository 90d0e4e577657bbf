//! The Identification of IPv4 packets that leave under an external address.
//!
//! # Theory of operation
//!
//! Whoever puts fragments together tells packets apart by source, destination, protocol and Identification (RFC 791
//! §3.2). A sandbox counts for itself; once several of them share an address, two packets to one host may
//! have one number, and their fragments are mixed up there. So the translation, which is the source as far as that
//! host can tell, numbers them anew (RFC 7857 §10, RFC 6864 §5.3.1): those that are or may become fragments. An
//! *atomic* packet, with "don't fragment" and no fragment itself, may have any number (RFC 6864 §4.1) and keeps it.
//!
//! The number is that of a counter, of which there are [`COUNTERS`], chosen by a seeded hash of source, destination and
//! protocol, plus bits of that hash. So a number comes again for one host after 65,536 packets at the earliest; at
//! more than 546 packets a second that is before the two minutes of RFC 6864 §4.3 are over, which 16 bits
//! cannot do better. Hosts that share a counter use its numbers up together. What other hosts are sent says little
//! of the numbers to come, since the seed is secret (RFC 7739 tells why that matters).
//!
//! The fragments of a packet get one number: the first one asks, the others take it from the
//! [way](crate::translate::Way) of the first. A super-frame takes a number for each of its segments, which are
//! counted up when it is cut.
//!
//! Workers share the counters: one atomic addition a packet, without an order to anything else.

use core::hash::BuildHasher;
use core::net::IpAddr;

use foldhash::fast::FixedState;
use tapweave_net::{Frame, IpProtocol, Ipv4View, Network, ParsedFrame};

use crate::packet::{Ends, is_atomic};
use crate::sync::{AtomicU32, Ordering};

/// Counters: 8 KiB. Linux has 2,048 at least (`net/ipv4/route.c`, `ip_idents`).
const COUNTERS: usize = 2048;

/// The counters of all workers.
#[derive(Debug)]
pub(crate) struct Identifications {
    hasher: FixedState,
    counters: Box<[AtomicU32]>,
}

impl Identifications {
    /// Returns counters that are at zero, which the hash hides.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            counters: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Returns the number that the packet in `frame` is to have when it goes with these ends; `None` when
    /// it keeps its own, as over IPv6.
    #[inline]
    pub(crate) fn for_packet(
        &self,
        frame: &Frame<'_>,
        parsed: &ParsedFrame,
        ends: &Ends,
        protocol: IpProtocol,
    ) -> Option<u16> {
        if parsed.network() != Network::V4 || is_atomic(frame, parsed) {
            return None;
        }
        let (src, dst) = (ends.src.ip(), ends.dst.ip());
        let count = match frame.offload().gso {
            None => 1,
            Some(gso) => {
                let len = parsed.l3_end().saturating_sub(parsed.l3_offset());
                let payload_len = len.saturating_sub(Ipv4View::LEN);
                payload_len.div_ceil(usize::from(gso.size).max(1))
            }
        };
        Some(self.take(src, dst, protocol, count))
    }

    /// Takes `count` numbers in a row and returns the first.
    fn take(&self, src: IpAddr, dst: IpAddr, protocol: IpProtocol, count: usize) -> u16 {
        let hash = self.hasher.hash_one((src, dst, protocol.0));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "some bits of a hash, and the low ones of a count"
        )]
        let (place, base, count) = (hash as usize % COUNTERS, (hash >> 48) as u16, count as u32);
        let taken = self.counters[place].fetch_add(count, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "the number wraps")]
        let taken = taken as u16;
        base.wrapping_add(taken)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_number_comes_again_after_all_others_for_every_destination() {
        let all = Identifications::new(7);
        for last in 0..4 {
            let numbers =
                (0..=u16::MAX).map(|_| all.take(address(1), address(last), IpProtocol::UDP, 1));
            assert_eq!(numbers.collect::<BTreeSet<u16>>().len(), 1 << 16);
        }
    }

    #[test]
    fn two_workers_never_take_one_number() {
        let all = Identifications::new(7);
        let take = |count: usize| -> Vec<u16> {
            let numbers =
                (0..5000).map(|_| all.take(address(1), address(2), IpProtocol::UDP, count));
            numbers.collect()
        };
        let (mut ones, threes) = thread::scope(|scope| {
            let other = scope.spawn(|| take(1));
            let threes = take(3);
            (other.join().unwrap(), threes)
        });
        ones.extend(
            threes
                .iter()
                .flat_map(|first| (0..3).map(|n| first.wrapping_add(n))),
        );
        assert_eq!(ones.iter().collect::<BTreeSet<_>>().len(), 20_000);
    }

    #[test]
    fn what_one_host_is_sent_does_not_tell_the_numbers_of_another() {
        let all = Identifications::new(7);
        let firsts = (0..64).map(|last| all.take(address(1), address(last), IpProtocol::UDP, 1));
        let firsts: BTreeSet<u16> = firsts.collect();
        assert!(firsts.len() > 60);
        let other = Identifications::new(8);
        let [here, there] =
            [&all, &other].map(|all| all.take(address(1), address(99), IpProtocol::UDP, 1));
        assert_ne!(here, there);
    }
}
