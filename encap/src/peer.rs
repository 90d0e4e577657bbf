//! A host at the other end of tunnels: where it is, when it was last heard, how wide the path to it
//! is.
//!
//! Tables and snapshots share one [`Peer`] by `Arc`, so that what workers have seen of it survives
//! every change of configuration. Workers write without a lock: what they write is a hint, each
//! value stands for itself and the newest wins, so relaxed atomics are enough.
//!
//! Whoever probes the path (one thread of the control side) tells workers here what to look for in what
//! comes from the peer: a station to ask, then its answers. Each probe has a number, not zero, and the
//! number of the last one that was answered is all that comes back.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tapweave_net::Timestamp;

use crate::{Station, Vtep};

/// A host at the other end of tunnels.
#[derive(Debug)]
pub struct Peer {
    vtep: Vtep,
    /// Nanoseconds, [`NEVER`] before the first datagram.
    last_heard: AtomicU64,
    /// What the kernel says.
    kernel_mtu: AtomicU16,
    /// What probes have found; [`UNPROBED`] where they found nothing less.
    probed_mtu: AtomicU16,
    wants: AtomicU8,
    station: Mutex<Option<Station>>,
    asked: AtomicU32,
    answered: AtomicU32,
}

/// What workers look for in what comes from a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// A station behind it, to ask.
    Station,
    /// The answer to the last probe.
    Answer,
}

const UNPROBED: u16 = u16::MAX;

const NEVER: u64 = u64::MAX;

/// How exact the time of the last datagram is. Without it every datagram would take the cache line
/// away from the other workers.
const RESOLUTION: Duration = Duration::from_millis(100);

impl Peer {
    /// Returns a peer that has not been heard yet. `path_mtu` is the largest outer packet that the
    /// path is believed to take, in bytes: that of the underlay's interface.
    pub const fn new(vtep: Vtep, path_mtu: u16) -> Self {
        Self {
            vtep,
            last_heard: AtomicU64::new(NEVER),
            kernel_mtu: AtomicU16::new(path_mtu),
            probed_mtu: AtomicU16::new(UNPROBED),
            wants: AtomicU8::new(Wanted::Nothing as u8),
            station: Mutex::new(None),
            asked: AtomicU32::new(0),
            answered: AtomicU32::new(0),
        }
    }

    /// Returns where it is.
    pub const fn vtep(&self) -> Vtep {
        self.vtep
    }

    /// Notes that a datagram which was accepted came from it at `now`.
    #[inline]
    pub fn handle_heard(&self, now: Timestamp) {
        let is_newer = self
            .last_heard()
            .is_none_or(|heard| now.since(heard) >= RESOLUTION);
        if is_newer {
            self.last_heard.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    /// Returns when the last datagram that was accepted came from it, exact to a tenth of a second.
    pub fn last_heard(&self) -> Option<Timestamp> {
        let nanos = self.last_heard.load(Ordering::Relaxed);
        (nanos != NEVER).then(|| Timestamp::from_nanos(nanos))
    }

    /// Returns the largest outer packet that the path to it takes, in bytes.
    #[inline]
    pub fn path_mtu(&self) -> u16 {
        let probed = self.probed_mtu.load(Ordering::Relaxed);
        self.kernel_mtu().min(probed)
    }

    /// Returns the largest outer packet that the path takes as far as the kernel knows.
    pub fn kernel_mtu(&self) -> u16 {
        self.kernel_mtu.load(Ordering::Relaxed)
    }

    /// States the largest outer packet that the path takes as far as the kernel knows: what its link, its routes
    /// and ICMP messages say.
    pub fn set_kernel_mtu(&self, mtu: u16) {
        self.kernel_mtu.store(mtu, Ordering::Relaxed);
    }

    /// States what [`PathMtu`](crate::PathMtu) found.
    pub fn set_probed_mtu(&self, mtu: u16) {
        self.probed_mtu.store(mtu, Ordering::Relaxed);
    }

    /// Returns what to look for in what comes from the peer.
    #[inline]
    pub fn wanted(&self) -> Wanted {
        match self.wants.load(Ordering::Relaxed) {
            1 => Wanted::Station,
            2 => Wanted::Answer,
            _ => Wanted::Nothing,
        }
    }

    /// Has workers look for a station behind the peer and forgets the one that is known.
    pub fn want_station(&self) {
        *self.lock_station() = None;
        self.wants.store(Wanted::Station as u8, Ordering::Relaxed);
    }

    /// Notes a station behind the peer, the first that is seen. Never waits for another worker.
    #[cold]
    pub fn handle_station(&self, station: Station) {
        if let Ok(mut place) = self.station.try_lock()
            && place.is_none()
        {
            *place = Some(station);
            self.wants.store(Wanted::Nothing as u8, Ordering::Relaxed);
        }
    }

    /// Returns the station behind the peer that is asked.
    pub fn station(&self) -> Option<Station> {
        *self.lock_station()
    }

    /// Has workers look for the answer to the probe of this number.
    pub fn want_answer(&self, nonce: u32) {
        self.asked.store(nonce, Ordering::Relaxed);
        self.wants.store(Wanted::Answer as u8, Ordering::Relaxed);
    }

    /// Has workers look for nothing.
    pub fn want_nothing(&self) {
        self.wants.store(Wanted::Nothing as u8, Ordering::Relaxed);
    }

    /// Notes the answer to the last probe.
    #[cold]
    pub fn handle_answer(&self) {
        let asked = self.asked.load(Ordering::Relaxed);
        self.answered.store(asked, Ordering::Relaxed);
        self.want_nothing();
    }

    /// Returns the number of the last probe.
    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Returns the number of the last probe that was answered.
    pub fn answered(&self) -> u32 {
        self.answered.load(Ordering::Relaxed)
    }

    fn lock_station(&self) -> MutexGuard<'_, Option<Station>> {
        self.station.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_peer_is_heard_to_a_tenth_of_a_second() {
        let peer = Peer::new(Vtep::new(Ipv4Addr::new(192, 0, 2, 1).into(), 4789), 1500);
        assert_eq!((peer.last_heard(), peer.path_mtu()), (None, 1500));
        let start = Timestamp::from_secs(5);
        peer.handle_heard(start);
        peer.handle_heard(start + Duration::from_millis(99));
        assert_eq!(peer.last_heard(), Some(start));
        peer.handle_heard(start + Duration::from_millis(100));
        assert_eq!(peer.last_heard(), Some(start + RESOLUTION));
        // A worker that read its clock earlier does not turn time back.
        peer.handle_heard(start);
        assert_eq!(peer.last_heard(), Some(start + RESOLUTION));
        peer.set_kernel_mtu(1400);
        assert_eq!(peer.path_mtu(), 1400);
    }

    #[test]
    fn the_path_is_as_wide_as_both_the_kernel_and_probes_say() {
        let peer = Peer::new(Vtep::new(Ipv4Addr::new(192, 0, 2, 1).into(), 4789), 1500);
        peer.set_probed_mtu(1300);
        assert_eq!((peer.path_mtu(), peer.kernel_mtu()), (1300, 1500));
        peer.set_kernel_mtu(1200);
        assert_eq!(peer.path_mtu(), 1200);
    }

    #[test]
    fn workers_look_for_a_station_and_then_for_its_answer() {
        let peer = Peer::new(Vtep::new(Ipv4Addr::new(192, 0, 2, 1).into(), 4789), 1500);
        let station = |last| Station {
            mac: tapweave_net::MacAddr::new([2, 0, 0, 0, 0, last]),
            addr: Ipv4Addr::new(10, 0, 0, last).into(),
        };
        assert_eq!((peer.wanted(), peer.station()), (Wanted::Nothing, None));
        peer.want_station();
        assert_eq!(peer.wanted(), Wanted::Station);
        peer.handle_station(station(1));
        peer.handle_station(station(2));
        assert_eq!(peer.station(), Some(station(1)));
        assert_eq!(peer.wanted(), Wanted::Nothing);
        peer.want_answer(7);
        assert_eq!((peer.wanted(), peer.answered()), (Wanted::Answer, 0));
        peer.handle_answer();
        assert_eq!((peer.wanted(), peer.answered()), (Wanted::Nothing, 7));
        peer.want_station();
        assert_eq!(peer.station(), None);
    }
}
