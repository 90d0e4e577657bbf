//! Which VXLAN segments are here, and which hosts take part in each.
//!
//! A table stands for one local socket. It is built by the control side and then only read: workers
//! get it as an immutable snapshot. Where a MAC address is, is for the switch's FDB to know; this
//! table says who may send into a segment and who gets a copy of what is flooded (head-end
//! replication, RFC 7348 §4.2 without multicast).
//!
//! Trees and not hash tables: an attacker chooses addresses and VNIs, a tree of a few hundred
//! entries answers in some ten nanoseconds in the worst case too, and its order is the same in
//! every run.

use std::collections::BTreeMap;
use std::sync::Arc;

use core::net::IpAddr;

use tapweave_net::NetworkNo;
use thiserror::Error;

use crate::{Peer, Refusal, Vni, Vtep};

/// The VXLAN segments behind one socket.
#[derive(Clone, Debug, Default)]
pub struct VxlanTable {
    segments: BTreeMap<Vni, VxlanSegment>,
    /// In how many segments a sender is a peer.
    known: BTreeMap<IpAddr, u32>,
}

#[derive(Clone, Debug)]
struct VxlanSegment {
    network: NetworkNo,
    admission: Admission,
    peers: BTreeMap<IpAddr, Arc<Peer>>,
}

/// Who may send into a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Admission {
    /// Its peers.
    #[default]
    Peers,
    /// Everybody: for networks whose peers are learned. Whoever reaches the port can inject frames.
    Open,
}

/// A datagram may enter a network.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a> {
    /// The network.
    pub network: NetworkNo,
    /// Who sent it, `None` for a stranger in an open segment.
    pub peer: Option<&'a Arc<Peer>>,
}

/// A segment or peer cannot be added or removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum VxlanTableError {
    /// The VNI belongs to another network.
    #[error("VNI {vni} is in use")]
    VniInUse {
        /// The VNI.
        vni: Vni,
    },
    /// There is no such segment.
    #[error("there is no segment with VNI {vni}")]
    NoSegment {
        /// The VNI.
        vni: Vni,
    },
    /// The segment has a peer of this address, perhaps on another port.
    #[error("{addr} is a peer of VNI {vni} already")]
    PeerExists {
        /// The VNI.
        vni: Vni,
        /// The address.
        addr: IpAddr,
    },
    /// The segment has no such peer.
    #[error("{addr} is no peer of VNI {vni}")]
    NoPeer {
        /// The VNI.
        vni: Vni,
        /// The address.
        addr: IpAddr,
    },
    /// No host can have this address.
    #[error("{addr} is not the address of one host")]
    NotAHost {
        /// The address.
        addr: IpAddr,
    },
}

impl VxlanTable {
    /// Adds the segment `vni`, which is `network`, without peers.
    ///
    /// # Errors
    ///
    /// [`VxlanTableError::VniInUse`].
    pub fn add_segment(
        &mut self,
        vni: Vni,
        network: NetworkNo,
        admission: Admission,
    ) -> Result<(), VxlanTableError> {
        if self.segments.contains_key(&vni) {
            return Err(VxlanTableError::VniInUse { vni });
        }
        let segment = VxlanSegment {
            network,
            admission,
            peers: BTreeMap::new(),
        };
        self.segments.insert(vni, segment);
        Ok(())
    }

    /// Removes the segment `vni` with its peers.
    ///
    /// # Errors
    ///
    /// [`VxlanTableError::NoSegment`].
    pub fn remove_segment(&mut self, vni: Vni) -> Result<(), VxlanTableError> {
        let segment = self.segments.remove(&vni);
        let segment = segment.ok_or(VxlanTableError::NoSegment { vni })?;
        for addr in segment.peers.into_keys() {
            self.forget(addr);
        }
        Ok(())
    }

    /// Lets `peer` take part in the segment `vni`.
    ///
    /// # Errors
    ///
    /// [`VxlanTableError::NoSegment`], [`VxlanTableError::PeerExists`],
    /// [`VxlanTableError::NotAHost`].
    pub fn add_peer(&mut self, vni: Vni, peer: Arc<Peer>) -> Result<(), VxlanTableError> {
        let addr = peer.vtep().addr();
        if !Vtep::is_possible(addr) {
            return Err(VxlanTableError::NotAHost { addr });
        }
        let segment = self.segments.get_mut(&vni);
        let segment = segment.ok_or(VxlanTableError::NoSegment { vni })?;
        if segment.peers.contains_key(&addr) {
            return Err(VxlanTableError::PeerExists { vni, addr });
        }
        segment.peers.insert(addr, peer);
        *self.known.entry(addr).or_default() += 1;
        Ok(())
    }

    /// Takes the peer at `addr` out of the segment `vni`.
    ///
    /// # Errors
    ///
    /// [`VxlanTableError::NoSegment`], [`VxlanTableError::NoPeer`].
    pub fn remove_peer(&mut self, vni: Vni, addr: IpAddr) -> Result<Arc<Peer>, VxlanTableError> {
        let addr = addr.to_canonical();
        let segment = self.segments.get_mut(&vni);
        let segment = segment.ok_or(VxlanTableError::NoSegment { vni })?;
        let peer = segment.peers.remove(&addr);
        let peer = peer.ok_or(VxlanTableError::NoPeer { vni, addr })?;
        self.forget(addr);
        Ok(peer)
    }

    fn forget(&mut self, addr: IpAddr) {
        if let Some(count) = self.known.get_mut(&addr) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.known.remove(&addr);
            }
        }
    }

    /// Tells whether a datagram for segment `vni` from `source` may enter, and what it enters. The
    /// source port is not asked for: it is that of a flow.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownVni`], [`Refusal::UnknownPeer`], [`Refusal::PeerNotBound`];
    /// [`Refusal::OuterSource`] for a stranger in an open segment whose address no host can have.
    #[inline]
    pub fn accept(&self, vni: Vni, source: IpAddr) -> Result<Accepted<'_>, Refusal> {
        let source = source.to_canonical();
        let segment = self.segments.get(&vni).ok_or(Refusal::UnknownVni)?;
        let network = segment.network;
        match (segment.peers.get(&source), segment.admission) {
            (Some(peer), _) => Ok(Accepted {
                network,
                peer: Some(peer),
            }),
            (None, Admission::Open) if Vtep::is_possible(source) => Ok(Accepted {
                network,
                peer: None,
            }),
            (None, Admission::Open) => Err(Refusal::OuterSource),
            (None, Admission::Peers) if self.known.contains_key(&source) => {
                Err(Refusal::PeerNotBound)
            }
            (None, Admission::Peers) => Err(Refusal::UnknownPeer),
        }
    }

    /// Returns who gets a copy of a frame that is flooded into segment `vni`, in the order of
    /// addresses. The caller never floods what came out of a tunnel (split horizon).
    #[inline]
    pub fn flood_list(&self, vni: Vni) -> impl Iterator<Item = &Arc<Peer>> {
        let segment = self.segments.get(&vni);
        segment
            .into_iter()
            .flat_map(|segment| segment.peers.values())
    }

    /// Returns the peer of segment `vni` at `addr`: where a unicast frame for a station behind it
    /// goes.
    #[inline]
    pub fn peer(&self, vni: Vni, addr: IpAddr) -> Option<&Arc<Peer>> {
        self.segments.get(&vni)?.peers.get(&addr.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vni(number: u32) -> Vni {
        Vni::new(number).unwrap()
    }

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn peer(text: &str) -> Arc<Peer> {
        Arc::new(Peer::new(Vtep::new(addr(text), 4789), 1500))
    }

    /// VNI 1 with peers .1 and .2, VNI 2 with peer .2, VNI 3 open.
    fn table() -> VxlanTable {
        let mut table = VxlanTable::default();
        for (number, admission) in [
            (1, Admission::Peers),
            (2, Admission::Peers),
            (3, Admission::Open),
        ] {
            table
                .add_segment(vni(number), NetworkNo(10 + number), admission)
                .unwrap();
        }
        let [first, second] = ["192.0.2.1", "192.0.2.2"].map(peer);
        table.add_peer(vni(1), Arc::clone(&second)).unwrap();
        table.add_peer(vni(1), first).unwrap();
        table.add_peer(vni(2), second).unwrap();
        table
    }

    fn accept(table: &VxlanTable, number: u32, source: &str) -> Result<NetworkNo, Refusal> {
        let accepted = table.accept(vni(number), addr(source))?;
        if let Some(peer) = &accepted.peer {
            assert_eq!(peer.vtep().addr(), addr(source).to_canonical());
        }
        Ok(accepted.network)
    }

    #[test]
    fn only_peers_of_a_segment_may_send_into_it() {
        let table = table();
        assert_eq!(accept(&table, 1, "192.0.2.1"), Ok(NetworkNo(11)));
        assert_eq!(accept(&table, 2, "192.0.2.2"), Ok(NetworkNo(12)));
        assert_eq!(accept(&table, 1, "::ffff:192.0.2.1"), Ok(NetworkNo(11)));
        let refused = |number, source| accept(&table, number, source).unwrap_err();
        assert_eq!(refused(2, "192.0.2.1"), Refusal::PeerNotBound);
        assert_eq!(refused(1, "192.0.2.9"), Refusal::UnknownPeer);
        assert_eq!(refused(1, "2001:db8::1"), Refusal::UnknownPeer);
        assert_eq!(refused(4, "192.0.2.1"), Refusal::UnknownVni);
    }

    #[test]
    fn an_open_segment_takes_every_host_but_only_hosts() {
        let table = table();
        assert_eq!(accept(&table, 3, "198.51.100.7"), Ok(NetworkNo(13)));
        for source in ["224.0.0.1", "0.0.0.0", "255.255.255.255", "ff02::1"] {
            assert_eq!(accept(&table, 3, source), Err(Refusal::OuterSource));
        }
    }

    #[test]
    fn what_is_flooded_goes_to_every_peer_once_in_order() {
        let table = table();
        let list = |number| {
            let peers = table.flood_list(vni(number));
            peers
                .map(|peer| peer.vtep().addr().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(list(1), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(list(2), ["192.0.2.2"]);
        assert_eq!((list(3), list(4)), (vec![], vec![]));
        assert!(table.peer(vni(1), addr("192.0.2.1")).is_some());
        assert!(table.peer(vni(2), addr("192.0.2.1")).is_none());
    }

    #[test]
    fn a_host_that_left_its_last_segment_is_a_stranger() {
        let mut table = table();
        table.remove_peer(vni(1), addr("192.0.2.2")).unwrap();
        let refused = accept(&table, 1, "192.0.2.2");
        assert_eq!(refused, Err(Refusal::PeerNotBound));
        table.remove_segment(vni(2)).unwrap();
        assert_eq!(accept(&table, 1, "192.0.2.2"), Err(Refusal::UnknownPeer));
        assert_eq!(accept(&table, 2, "192.0.2.2"), Err(Refusal::UnknownVni));
        assert!(table.remove_segment(vni(2)).is_err());
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let mut table = table();
        let texts = [
            table.add_segment(vni(1), NetworkNo(9), Admission::Peers),
            table.add_peer(vni(9), peer("192.0.2.1")),
            table.add_peer(vni(1), peer("192.0.2.1")),
            table.add_peer(vni(1), peer("224.0.0.1")),
            table.remove_peer(vni(1), addr("192.0.2.9")).map(|_| ()),
        ]
        .map(|result| result.unwrap_err().to_string());
        assert_eq!(
            texts,
            [
                "VNI 1 is in use",
                "there is no segment with VNI 9",
                "192.0.2.1 is a peer of VNI 1 already",
                "224.0.0.1 is not the address of one host",
                "192.0.2.9 is no peer of VNI 1",
            ]
        );
    }
}
