//! Which segments are behind one UDP port, and where what comes from each of their hosts goes.
//!
//! Made by the control side and read by workers as an immutable snapshot. The decision who may send is
//! that of [`VxlanTable`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tapweave_encap::{
    Accepted, Admission, Peer, Refusal, Tunnel, Vni, VxlanTable, VxlanTableError,
};
use tapweave_net::{NetworkNo, PortNo};

use super::ingress::Ingress;
use super::strangers::Strangers;

/// The segments behind one UDP port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments {
    table: VxlanTable,
    networks: BTreeMap<Vni, Segment>,
    /// Shared by all snapshots.
    strangers: Arc<Strangers>,
}

#[derive(Clone, Debug)]
struct Segment {
    tunnel: Tunnel,
    mtu: u16,
    ports: BTreeMap<IpAddr, PortNo>,
}

impl Segments {
    /// Adds a segment without hosts.
    pub(crate) fn add_segment(
        &mut self,
        vni: Vni,
        network: NetworkNo,
        admission: Admission,
        tunnel: Tunnel,
        mtu: u16,
    ) -> Result<(), VxlanTableError> {
        self.table.add_segment(vni, network, admission)?;
        let segment = Segment {
            tunnel,
            mtu,
            ports: BTreeMap::new(),
        };
        self.networks.insert(vni, segment);
        Ok(())
    }

    /// Removes a segment; an unknown one is removed already.
    pub(crate) fn remove_segment(&mut self, vni: Vni) {
        let _unknown = self.table.remove_segment(vni);
        self.networks.remove(&vni);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Lets a host take part in a segment; what it sends comes in from `port`.
    pub(crate) fn add_peer(
        &mut self,
        vni: Vni,
        peer: &Arc<Peer>,
        port: PortNo,
    ) -> Result<(), VxlanTableError> {
        self.table.add_peer(vni, Arc::clone(peer))?;
        if let Some(segment) = self.networks.get_mut(&vni) {
            segment.ports.insert(peer.vtep().addr(), port);
        }
        Ok(())
    }

    /// Takes a host out of a segment.
    pub(crate) fn remove_peer(&mut self, vni: Vni, addr: IpAddr) {
        let _unknown = self.table.remove_peer(vni, addr);
        if let Some(segment) = self.networks.get_mut(&vni) {
            segment.ports.remove(&addr.to_canonical());
        }
    }

    /// Returns the hosts that have sent into open segments and take no part in them, since the last call.
    pub(crate) fn take_strangers(&self) -> BTreeSet<(NetworkNo, IpAddr)> {
        self.strangers.take()
    }

    /// Tells where a datagram of segment `vni` from `source` enters. A stranger in an open segment is noted.
    ///
    /// # Errors
    ///
    /// As [`VxlanTable::accept`]; [`Refusal::PeerNotLearned`].
    pub(crate) fn accept(&self, vni: Vni, source: IpAddr) -> Result<Ingress<'_>, Refusal> {
        let Accepted { network, peer } = self.table.accept(vni, source)?;
        let Some(peer) = peer else {
            self.strangers.note(network, source);
            return Err(Refusal::PeerNotLearned);
        };
        let segment = self.networks.get(&vni).ok_or(Refusal::UnknownVni)?;
        let port = segment.ports.get(&source.to_canonical());
        Ok(Ingress {
            port: *port.ok_or(Refusal::PeerNotBound)?,
            peer,
            tunnel: &segment.tunnel,
            mtu: segment.mtu,
        })
    }
}

#[cfg(test)]
mod tests {
    use tapweave_encap::{Encap, Marking, TagPolicy, Vtep};

    use super::*;

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_datagram_enters_at_the_port_of_its_sender_in_its_segment() {
        let mut segments = Segments::default();
        let vnis = [1, 2].map(|number| Vni::new(number).unwrap());
        for (vni, network) in vnis.into_iter().zip([NetworkNo(1), NetworkNo(2)]) {
            let tunnel = Tunnel {
                encap: Encap::Vxlan(vni),
                marking: Marking::default(),
                tags: TagPolicy::Refuse,
            };
            segments
                .add_segment(vni, network, Admission::Peers, tunnel, 1450)
                .unwrap();
        }
        let peer = Arc::new(Peer::new(Vtep::new(addr("192.0.2.2"), 4789), 1500));
        segments
            .add_peer(vnis[0], &peer, PortNo::new(7, 0))
            .unwrap();
        let port = |vni, source| segments.accept(vni, addr(source)).map(|at| at.port);
        assert_eq!(port(vnis[0], "192.0.2.2"), Ok(PortNo::new(7, 0)));
        assert_eq!(port(vnis[0], "::ffff:192.0.2.2"), Ok(PortNo::new(7, 0)));
        assert_eq!(port(vnis[1], "192.0.2.2"), Err(Refusal::PeerNotBound));
        assert_eq!(port(vnis[0], "192.0.2.3"), Err(Refusal::UnknownPeer));
        let unknown = Vni::new(3).unwrap();
        assert_eq!(port(unknown, "192.0.2.2"), Err(Refusal::UnknownVni));
        segments.remove_peer(vnis[0], addr("192.0.2.2"));
        let gone = segments
            .accept(vnis[0], addr("192.0.2.2"))
            .map(|at| at.port);
        assert_eq!(gone, Err(Refusal::UnknownPeer));
        segments.remove_segment(vnis[0]);
        segments.remove_segment(vnis[1]);
        assert!(segments.is_empty());
    }

    #[test]
    fn a_stranger_in_an_open_segment_is_noted_until_it_takes_part() {
        let mut segments = Segments::default();
        let vni = Vni::new(7).unwrap();
        let tunnel = Tunnel {
            encap: Encap::Vxlan(vni),
            marking: Marking::default(),
            tags: TagPolicy::Refuse,
        };
        let network = NetworkNo(3);
        segments
            .add_segment(vni, network, Admission::Open, tunnel, 1450)
            .unwrap();
        let source = addr("192.0.2.2");
        let accept = |segments: &Segments| segments.accept(vni, source).map(|at| at.port);
        assert_eq!(accept(&segments), Err(Refusal::PeerNotLearned));
        // What workers note in one snapshot is taken from the next.
        let peer = Arc::new(Peer::new(Vtep::new(source, 4789), 1500));
        let port = PortNo::new(7, 0);
        let mut next = segments.clone();
        assert_eq!(next.take_strangers(), BTreeSet::from([(network, source)]));
        next.add_peer(vni, &peer, port).unwrap();
        assert_eq!(accept(&next), Ok(port));
        let nobody = next.accept(vni, addr("224.0.0.1")).map(|at| at.port);
        assert_eq!(nobody, Err(Refusal::OuterSource));
        assert!(next.take_strangers().is_empty());
    }
}
