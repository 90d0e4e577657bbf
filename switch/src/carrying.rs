//! What a switch has learned, in a form that outlives the process.
//!
//! What the control side set is not among it: it is known there. Times are of a clock that goes on. What comes back
//! was bytes in between, and time has passed and ports may have other rules: so everything is checked, no bound of a table is
//! exceeded for it, and what the table knows by itself is newer and stays. See [`Switch::restore`](crate::Switch::restore).

use core::net::IpAddr;

use tapweave_net::{MacAddr, PortNo, Timestamp, Vid};

use crate::{Family, Group};

/// What one network has learned.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Learned {
    /// The stations of its FDB that are not static.
    pub stations: Vec<LearnedStation>,
    /// The neighbours that its gateway has found by asking.
    pub neighbors: Vec<LearnedNeighbor>,
    /// Who listens to which group.
    pub members: Vec<LearnedMember>,
    /// Ports that get all groups.
    pub group_ports: Vec<LearnedGroupPort>,
    /// Who asks in which VLAN. What is limited depends on them, so they are only right together with all members.
    pub queriers: Vec<LearnedQuerier>,
}

/// A station that an FDB has learned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnedStation {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its VLAN, if it is in one.
    pub vid: Option<Vid>,
    /// Where it is.
    pub port: PortNo,
    /// Whether it neither ages nor moves: [`FdbOrigin::Sticky`](crate::FdbOrigin::Sticky).
    pub is_sticky: bool,
    /// When a frame from it was last seen.
    pub seen: Timestamp,
}

/// A neighbour that a gateway has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnedNeighbor {
    /// Its address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddr,
    /// The VLAN that it spoke in, if any.
    pub vid: Option<Vid>,
    /// When it was last heard.
    pub heard: Timestamp,
    /// When a packet last went there.
    pub used: Timestamp,
}

/// A port that listens to a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnedMember {
    /// The VLAN; none for untagged frames of a port without VLANs.
    pub vid: Option<Vid>,
    /// The group.
    pub group: Group,
    /// The port.
    pub port: PortNo,
    /// When it joined.
    pub since: Timestamp,
    /// When it leaves unless somebody on it reports.
    pub expires: Timestamp,
    /// Until when there may be an IGMPv1 host, which leaves silently.
    pub v1_until: Timestamp,
}

/// A port that gets more than the groups that it listens to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnedGroupPort {
    /// The port.
    pub port: PortNo,
    /// Of which IP a router is there; none for a port whose memberships do not fit.
    pub router: Option<Family>,
    /// When that was noticed.
    pub since: Timestamp,
    /// When that ends unless it is noticed again.
    pub expires: Timestamp,
}

/// Who asks in a VLAN who listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnedQuerier {
    /// The VLAN; none for untagged frames of ports without VLANs.
    pub vid: Option<Vid>,
    /// Which IP it is about.
    pub family: Family,
    /// When the last general query was heard or sent.
    pub last: Timestamp,
    /// From when on what is known is complete.
    pub from: Timestamp,
    /// Until when it is.
    pub until: Timestamp,
    /// Until when somebody else is there to ask.
    pub other_until: Timestamp,
}

/// A number that is another one when a switch may have learned something: see
/// [`Switch::learning_mark`](crate::Switch::learning_mark).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearningMark {
    pub(crate) generation: u64,
    pub(crate) changes: u64,
}

impl Learned {
    /// Returns how many things it says.
    pub const fn len(&self) -> usize {
        self.stations.len()
            + self.neighbors.len()
            + self.members.len()
            + self.group_ports.len()
            + self.queriers.len()
    }

    /// Tells whether it says nothing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
