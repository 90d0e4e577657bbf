//! What is known of a place on a LAN as it outlives the daemon: the addresses, and until when they may be used.
//!
//! The next daemon goes on with it at once, while DHCP and routers are asked anew: the sockets have stayed, so nobody on
//! the LAN has seen us go. An address that somebody else claims meanwhile is given up, as one that is asked for.
//!
//! Times are those of [`crate::clock`], which every daemon of the machine understands.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tapweave_net::Timestamp;

use crate::uplink::choice::NicAddress;

/// A place on a LAN.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::uplink) struct LeftPlace {
    /// The addresses that were ours.
    pub(super) ours: Vec<IpNet>,
    /// What DHCP has given.
    pub(super) lease: Option<LeftLease>,
    /// Until when addresses of each prefix are valid.
    pub(super) prefixes: Vec<(Ipv6Addr, Until)>,
    /// Until when each router is one.
    pub(super) routers: Vec<(Ipv6Addr, Until)>,
}

/// An address that DHCP has given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::uplink) struct LeftLease {
    address: IpNet,
    router: Option<IpAddr>,
    until: Until,
}

/// A moment, in nanoseconds of the machine's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::uplink) struct Until(u64);

impl LeftLease {
    pub(super) const fn new(place: NicAddress, until: Timestamp) -> Self {
        Self {
            address: place.address,
            router: place.gateway,
            until: Until::at(until),
        }
    }

    pub(super) const fn place(self) -> NicAddress {
        NicAddress {
            address: self.address,
            gateway: self.router,
        }
    }

    pub(super) const fn until(self) -> Timestamp {
        self.until.time()
    }
}

impl Until {
    pub(super) const fn at(time: Timestamp) -> Self {
        Self(time.as_nanos())
    }

    pub(super) const fn time(self) -> Timestamp {
        Timestamp::from_nanos(self.0)
    }
}
