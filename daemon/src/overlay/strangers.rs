//! Hosts that are no peers and have sent into a network that is open to them.
//!
//! Workers note them and the control side takes them, several times a second, to make peers of them. What
//! workers note is bounded and never waits: a stranger that finds no place sends again.

use std::collections::BTreeSet;
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tapweave_net::NetworkNo;

/// Strangers that are kept until they are taken. Whoever can send with a foreign source address can fill this
/// with addresses of nobody, so more would serve only them.
const STRANGERS_MAX: usize = 64;

/// Strangers that were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<BTreeSet<(NetworkNo, IpAddr)>>);

impl Strangers {
    /// Notes that a host which is no peer has sent into `network`, unless another worker is noting something.
    #[cold]
    pub(crate) fn note(&self, network: NetworkNo, addr: IpAddr) {
        if let Ok(mut noted) = self.0.try_lock()
            && noted.len() < STRANGERS_MAX
        {
            noted.insert((network, addr.to_canonical()));
        }
    }

    /// Returns what was noted since the last call.
    pub(crate) fn take(&self) -> BTreeSet<(NetworkNo, IpAddr)> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *noted)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_stranger_is_taken_once_and_a_flood_of_them_is_bounded() {
        let strangers = Strangers::default();
        let addr = |last| IpAddr::from(Ipv4Addr::new(192, 0, 2, last));
        for _ in 0..3 {
            strangers.note(NetworkNo(1), addr(1));
        }
        strangers.note(NetworkNo(1), "::ffff:192.0.2.1".parse().unwrap());
        strangers.note(NetworkNo(2), addr(1));
        let taken: Vec<_> = strangers.take().into_iter().collect();
        assert_eq!(taken, [(NetworkNo(1), addr(1)), (NetworkNo(2), addr(1))]);
        for last in 0..=255 {
            strangers.note(NetworkNo(1), addr(last));
        }
        assert_eq!(strangers.take().len(), STRANGERS_MAX);
        assert!(strangers.take().is_empty());
    }
}
