//! The sockets of overlays as what outlives the daemon.
//!
//! # Theory of operation
//!
//! Each socket that hears is kept ([`Holdings`]) under a name that says all that it was made for, and so are the sockets
//! of each sender together. The next daemon asks for what it is about to make by the same name. So what it finds
//! is what it wants now, which the kernel is asked to confirm ([`DatagramReceiver::adopt`]), and what it does not ask for
//! (a network that is gone, another port or address) is let go of as everything is that nobody has claimed.
//!
//! Peers see the same ports then: who hears has the port that peers send to, and who sends the ports that tell flows
//! apart. Which flow has which of them is for a hash to say, whose seed is the note of the sender.
//!
//! What arrives while nobody reads waits in the sockets, as far as their buffers go.
//!
//! There is one socket a worker. Of fewer workers some read two: what waits in a socket is not to be lost because nobody
//! was needed for it, and the flows that the kernel sends to it keep their order.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use tapweave_device::{
    DatagramReceiver, Hearing, HeldKey, LeftSocketError, RawSender, UnderlaySender,
};
use tapweave_encap::{EncapKind, HopLimit};
use tracing::{info, warn};

use crate::holdings::{self, Holdings};

/// Makes the sockets of overlays, or takes those that an earlier daemon has left.
#[derive(Debug)]
pub(super) struct Kept(Arc<Holdings>);

/// A receiver, and what its socket is kept as.
#[derive(Debug)]
pub(super) struct KeptReceiver {
    pub(super) receiver: DatagramReceiver,
    pub(super) key: HeldKey,
}

impl Kept {
    pub(super) const fn new(holdings: Arc<Holdings>) -> Self {
        Self(holdings)
    }

    /// Returns `count` receivers, or more if an earlier daemon had more.
    pub(super) fn receivers(
        &self,
        kind: EncapKind,
        hearing: Hearing,
        count: usize,
    ) -> io::Result<Vec<KeptReceiver>> {
        let mut receivers = Vec::new();
        loop {
            let number = receivers.len();
            let key = receiver_key(kind, hearing, number);
            let receiver = match self.claim(&key, |fds, _| DatagramReceiver::adopt(fds, hearing)) {
                Some(receiver) => receiver,
                None if number >= count => return Ok(receivers),
                None => match DatagramReceiver::open(hearing) {
                    Ok(receiver) => {
                        self.0.keep(&key, "", &[receiver.as_fd()]);
                        receiver
                    }
                    Err(error) => {
                        self.let_go(receivers.iter().map(|it| &it.key));
                        return Err(error);
                    }
                },
            };
            receivers.push(KeptReceiver { receiver, key });
        }
    }

    /// Returns what sends datagrams from `addr`, with the seed by which flows are spread: `seed`, or that of an
    /// earlier daemon.
    pub(super) fn udp_sender(&self, addr: IpAddr, seed: u64) -> io::Result<(UnderlaySender, u64)> {
        let (key, hops) = (udp_sender_key(addr), HopLimit::DEFAULT.get());
        let left = self.claim(&key, |fds, note| {
            let sender = UnderlaySender::adopt(fds, addr, hops)?;
            // One that is not understood moves flows to other ports, and no more.
            Ok((sender, note.parse().unwrap_or(seed)))
        });
        if let Some(left) = left {
            return Ok(left);
        }
        let sender = UnderlaySender::new(addr, hops)?;
        self.0.keep(&key, &seed.to_string(), &sender.fds());
        Ok((sender, seed))
    }

    /// Returns what sends packets of IP in IP from `addr`.
    pub(super) fn raw_sender(&self, addr: IpAddr) -> io::Result<RawSender> {
        let (key, hops) = (raw_sender_key(addr), HopLimit::DEFAULT.get());
        let left = self.claim(&key, |fds, _| RawSender::adopt(fds, addr, hops));
        if let Some(left) = left {
            return Ok(left);
        }
        let sender = RawSender::new(addr, hops)?;
        self.0.keep(&key, "", &sender.fds());
        Ok(sender)
    }

    /// Has sockets go with the descriptors of this daemon.
    pub(super) fn let_go<'k>(&self, keys: impl IntoIterator<Item = &'k HeldKey>) {
        for key in keys {
            self.0.let_go(key);
        }
    }

    /// Returns what `adopt` makes of the descriptors and the note under `key`, if an earlier daemon has left some.
    fn claim<S>(
        &self,
        key: &HeldKey,
        adopt: impl FnOnce(Vec<OwnedFd>, &str) -> Result<S, LeftSocketError>,
    ) -> Option<S> {
        let held = self.0.claim(key)?;
        match adopt(held.fds, &held.note) {
            Ok(adopted) => {
                info!(%key, "a socket of an overlay is taken over");
                Some(adopted)
            }
            Err(error) => {
                let reason = anyhow::Error::from(error);
                warn!(%key, "a socket of an overlay cannot be taken over and is made anew: {reason:#}");
                // It would have the port of the new one.
                self.0.let_go(key);
                None
            }
        }
    }
}

fn receiver_key(kind: EncapKind, hearing: Hearing, number: usize) -> HeldKey {
    HeldKey::new(holdings::UNDERLAY, format!("{kind} {hearing} {number}"))
}

pub(super) fn udp_sender_key(addr: IpAddr) -> HeldKey {
    HeldKey::new(holdings::UNDERLAY, format!("send from {addr}"))
}

pub(super) fn raw_sender_key(addr: IpAddr) -> HeldKey {
    HeldKey::new(holdings::UNDERLAY, format!("send raw from {addr}"))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use rustix::fs::fstat;
    use tapweave_device::Held;
    use tapweave_net::IpProtocol;

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn at(port: u16) -> Hearing {
        Hearing::Port(SocketAddr::new(LOCAL, port))
    }

    fn copy(fd: impl AsFd) -> OwnedFd {
        fd.as_fd().try_clone_to_owned().unwrap()
    }

    fn inode(fd: impl AsFd) -> u64 {
        fstat(fd).unwrap().st_ino
    }

    fn hold(key: HeldKey, note: &str, fds: Vec<OwnedFd>) -> Held {
        let note = note.to_owned();
        Held { key, note, fds }
    }

    /// Returns what an earlier daemon has left: a socket of VXLAN at each of these ports, under the names of those at `port`.
    fn leave(port: u16, bound: &[u16]) -> (Kept, Vec<u64>) {
        let mut held = Vec::new();
        let mut inodes = Vec::new();
        for (number, bound) in bound.iter().enumerate() {
            let socket = DatagramReceiver::open(at(*bound)).unwrap();
            inodes.push(inode(&socket));
            let key = receiver_key(EncapKind::Vxlan, at(port), number);
            held.push(hold(key, "", vec![copy(&socket)]));
        }
        (Kept::new(Arc::new(Holdings::having(held))), inodes)
    }

    fn receivers(kept: &Kept, port: u16, count: usize) -> Vec<u64> {
        let receivers = kept.receivers(EncapKind::Vxlan, at(port), count).unwrap();
        let inodes = receivers.iter().map(|it| inode(&it.receiver));
        inodes.collect()
    }

    #[test]
    fn sockets_that_were_left_are_used_again_and_missing_ones_are_made() {
        let (kept, left) = leave(48_811, &[48_811, 48_811]);
        let had = receivers(&kept, 48_811, 3);
        assert_eq!(had[..2], left);
        assert_eq!(had.len(), 3);
        // They are somebody's now.
        assert!(
            receivers(&kept, 48_811, 2)
                .iter()
                .all(|it| !left.contains(it))
        );
    }

    #[test]
    fn of_fewer_workers_all_sockets_are_read() {
        let (kept, left) = leave(48_812, &[48_812; 4]);
        assert_eq!(receivers(&kept, 48_812, 1), left);
    }

    #[test]
    fn what_is_not_what_its_name_says_is_made_anew() {
        let (kept, left) = leave(48_813, &[48_813, 48_814]);
        let had = receivers(&kept, 48_813, 2);
        assert_eq!(had[0], left[0]);
        assert_ne!(had[1], left[1]);
        // Another tunnel's, another port's, two in one: none of them is looked at, or used.
        let (kept, left) = leave(48_815, &[48_815]);
        let others = kept.receivers(EncapKind::Gue, at(48_815), 1).unwrap();
        assert_ne!(inode(&others[0].receiver), left[0]);
        let socket = DatagramReceiver::open(at(48_816)).unwrap();
        let key = receiver_key(EncapKind::Vxlan, at(48_816), 0);
        let two = hold(key, "", vec![copy(&socket), copy(&socket)]);
        let kept = Kept::new(Arc::new(Holdings::having(vec![two])));
        assert_ne!(receivers(&kept, 48_816, 1)[0], inode(&socket));
    }

    #[test]
    fn what_hears_differently_has_another_name() {
        let group: SocketAddr = "239.1.1.1:4789".parse().unwrap();
        let names = [
            (EncapKind::Vxlan, at(4789), 0),
            (EncapKind::Vxlan, at(4789), 1),
            (EncapKind::Gue, at(4789), 0),
            (EncapKind::Vxlan, Hearing::Group(group, 1), 0),
            (EncapKind::Vxlan, Hearing::Group(group, 2), 0),
            (
                EncapKind::Ipip,
                Hearing::Protocol(LOCAL, IpProtocol::IPV4),
                0,
            ),
            (
                EncapKind::Ipip,
                Hearing::Protocol(LOCAL, IpProtocol::IPV6),
                0,
            ),
        ]
        .map(|(kind, hearing, number)| receiver_key(kind, hearing, number).name);
        let mut different = names.to_vec();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), names.len());
        assert_eq!(names[1], "vxlan 127.0.0.1:4789 1");
    }

    #[test]
    fn a_sender_that_was_left_has_its_ports_and_its_seed() {
        let ports = |sender: &UnderlaySender| -> Vec<u64> {
            let fds = sender.fds().into_iter();
            fds.map(inode).collect()
        };
        for (note, seed) in [("77", 77), ("", 5), ("of a later version", 5)] {
            let sender = UnderlaySender::new(LOCAL, 64).unwrap();
            let fds = sender.fds().into_iter().map(copy).collect();
            let held = hold(udp_sender_key(LOCAL), note, fds);
            let kept = Kept::new(Arc::new(Holdings::having(vec![held])));
            let (same, found) = kept.udp_sender(LOCAL, 5).unwrap();
            assert_eq!((ports(&same), found), (ports(&sender), seed));
        }
        let one = UnderlaySender::new(LOCAL, 64).unwrap();
        let held = hold(udp_sender_key(LOCAL), "77", vec![copy(one.fds()[0])]);
        let kept = Kept::new(Arc::new(Holdings::having(vec![held])));
        let (other, found) = kept.udp_sender(LOCAL, 5).unwrap();
        assert_eq!(found, 5);
        assert!(!ports(&other).contains(&ports(&one)[0]));
    }
}
