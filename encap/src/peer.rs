//! A host at the other end of tunnels: where it is, when it was last heard, how wide the path to it
//! is.
//!
//! Tables and snapshots share one [`Peer`] by `Arc`, so that what workers have seen of it survives
//! every change of configuration. Workers write without a lock: what they write is a hint, each
//! value stands for itself and the newest wins, so relaxed atomics are enough.

use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use core::time::Duration;

use tapweave_net::Timestamp;

use crate::Vtep;

/// A host at the other end of tunnels.
#[derive(Debug)]
pub struct Peer {
    vtep: Vtep,
    /// Nanoseconds, [`NEVER`] before the first datagram.
    last_heard: AtomicU64,
    path_mtu: AtomicU16,
}

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
            path_mtu: AtomicU16::new(path_mtu),
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
        self.path_mtu.load(Ordering::Relaxed)
    }

    /// States the largest outer packet that the path takes: what ICMP messages said of it.
    pub fn set_path_mtu(&self, mtu: u16) {
        self.path_mtu.store(mtu, Ordering::Relaxed);
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
        peer.set_path_mtu(1400);
        assert_eq!(peer.path_mtu(), 1400);
    }
}
