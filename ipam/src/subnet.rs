//! One subnet: what may be leased, what is leased to whom, what comes next.
//!
//! # States of an address
//!
//! ```text
//!              lease_next                    release
//!   free ───────────────────────► leased ──────────────► resting
//!    ▲  └────── lease ──────────►  │ ▲                    │  │
//!    │         release, and        │ │  lease, or         │  │
//!    │     outside of the range    │ │  lease_next when   │  │
//!    ├─────────────────────────────┘ │  none is free      │  │
//!    │                               └────────────────────┘  │
//!    └───────── RESTING_LIMIT others were released ──────────┘
//! ```
//!
//! `lease_next` takes the first free address after the one it gave last, round and round, so that
//! the address least recently used comes first. The gateway and the auxiliary addresses are leased
//! from the start and never released; the first and the last address of an IPv4 subnet and the first
//! of an IPv6 subnet are never leased (point-to-point prefixes excepted).

use core::net::IpAddr;
use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::Family;
use crate::free::FreeSet;
use crate::number::{bounds, number, overlap};

pub use error::{Holder, LeaseError, Reservation, SubnetError};

mod error;
#[cfg(test)]
mod tests;

/// Released addresses that rest before the oldest becomes free again. Bounds the memory that clients
/// who come and go can take (about 100 bytes each), and covers the /20s and smaller entirely.
const RESTING_LIMIT: usize = 4096;

/// Blocks that no network can have: this host, loopback, multicast, reserved, link-local for IPv6
/// (RFC 6890).
const UNUSABLE_BLOCKS: [(&str, &str); 9] = [
    ("0.0.0.0/8", "this network"),
    ("127.0.0.0/8", "loopback"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "the unspecified address"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
];

/// What is asked of a subnet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubnetSpec {
    /// Its prefix, without host bits.
    pub subnet: IpNet,
    /// Where [`Subnet::lease_next`] takes addresses from; the whole subnet if none.
    pub ip_range: Option<IpNet>,
    /// The gateway's address; the first usable one that is not auxiliary if none.
    pub gateway: Option<IpAddr>,
    /// Addresses that something else uses, by name.
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

impl From<IpNet> for SubnetSpec {
    /// Asks for the prefix and nothing else.
    fn from(subnet: IpNet) -> Self {
        Self {
            subnet,
            ip_range: None,
            gateway: None,
            aux_addresses: BTreeMap::new(),
        }
    }
}

/// A subnet and its leases.
#[derive(Clone, Debug)]
pub struct Subnet {
    spec: SubnetSpec,
    gateway: IpAddr,
    leases: BTreeMap<u128, Holder>,
    /// Members of the range that are neither leased nor resting.
    free: FreeSet,
    /// Where [`Subnet::lease_next`] looks first.
    cursor: u128,
    /// Released addresses by the order of their release, and the same the other way round.
    resting: BTreeMap<u64, u128>,
    resting_since: BTreeMap<u128, u64>,
    release_count: u64,
}

impl Subnet {
    /// Returns the subnet that `spec` asks for, with the gateway and the auxiliary addresses leased.
    ///
    /// # Errors
    ///
    /// See [`SubnetError`].
    pub fn new(spec: SubnetSpec) -> Result<Self, SubnetError> {
        validate_prefix(spec.subnet)?;
        let range = spec.ip_range.unwrap_or(spec.subnet);
        if range.trunc() != range {
            return Err(SubnetError::HostBits {
                given: range,
                subnet: range.trunc(),
            });
        }
        if !spec.subnet.contains(&range) {
            return Err(SubnetError::IpRangeOutside {
                ip_range: range,
                subnet: spec.subnet,
            });
        }
        let (first_usable, last_usable) = usable(&spec.subnet);
        let (first, last) = bounds(&range);
        let mut subnet = Self {
            gateway: spec.subnet.network(),
            leases: BTreeMap::new(),
            free: FreeSet::range(first.max(first_usable), last.min(last_usable)),
            cursor: first,
            resting: BTreeMap::new(),
            resting_since: BTreeMap::new(),
            release_count: 0,
            spec,
        };
        subnet.reserve_gateway_and_auxiliaries()?;
        Ok(subnet)
    }

    /// Leases `address` to the endpoint called `owner`. It need not be in the ip-range.
    ///
    /// # Errors
    ///
    /// `Outside`, `Reserved` or `Taken`.
    pub fn lease(&mut self, address: IpAddr, owner: &str) -> Result<(), LeaseError> {
        self.lease_to(address, Holder::Endpoint(owner.to_owned()))
    }

    /// Leases the next address of the ip-range to the endpoint called `owner`; `None` when every
    /// address is leased.
    pub fn lease_next(&mut self, owner: &str) -> Option<IpAddr> {
        let number = match self.free.next_from(self.cursor) {
            Some(number) => {
                self.free.remove(number);
                self.cursor = number.saturating_add(1);
                number
            }
            None => self.oldest_resting()?,
        };
        self.leases
            .insert(number, Holder::Endpoint(owner.to_owned()));
        Some(Family::of_prefix(&self.spec.subnet).address(number))
    }

    /// Ends the lease of `address` and tells whether an endpoint had it.
    pub fn release(&mut self, address: IpAddr) -> bool {
        let number = number(address);
        if !self.spec.subnet.contains(&address)
            || !matches!(self.leases.get(&number), Some(Holder::Endpoint(_)))
        {
            return false;
        }
        self.leases.remove(&number);
        if self.ip_range().contains(&address) {
            self.rest(number);
        }
        true
    }

    /// Returns the prefix.
    pub const fn prefix(&self) -> IpNet {
        self.spec.subnet
    }

    /// Returns where addresses are taken from: the ip-range, else the whole subnet.
    pub fn ip_range(&self) -> IpNet {
        self.spec.ip_range.unwrap_or(self.spec.subnet)
    }

    /// Returns the gateway's address.
    pub const fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// Returns what was asked for.
    pub const fn spec(&self) -> &SubnetSpec {
        &self.spec
    }

    /// Returns who has `address`.
    pub fn holder(&self, address: IpAddr) -> Option<&Holder> {
        if !self.spec.subnet.contains(&address) {
            return None;
        }
        self.leases.get(&number(address))
    }

    fn reserve_gateway_and_auxiliaries(&mut self) -> Result<(), SubnetError> {
        if let Some(address) = self.spec.gateway {
            self.lease_to(address, Holder::Gateway)
                .map_err(|source| SubnetError::Gateway { address, source })?;
            self.gateway = address;
        }
        for (name, address) in self.spec.aux_addresses.clone() {
            self.lease_to(address, Holder::Auxiliary(name.clone()))
                .map_err(|source| SubnetError::Auxiliary {
                    name,
                    address,
                    source,
                })?;
        }
        if self.spec.gateway.is_none() {
            self.gateway = self.lease_default_gateway()?;
        }
        Ok(())
    }

    fn lease_default_gateway(&mut self) -> Result<IpAddr, SubnetError> {
        let subnet = self.spec.subnet;
        let (first, last) = usable(&subnet);
        // Ends after as many steps as there are auxiliary addresses.
        let number = (first..=last)
            .find(|number| !self.leases.contains_key(number))
            .ok_or(SubnetError::NoGateway { subnet })?;
        self.free.remove(number);
        self.leases.insert(number, Holder::Gateway);
        Ok(Family::of_prefix(&subnet).address(number))
    }

    fn lease_to(&mut self, address: IpAddr, holder: Holder) -> Result<(), LeaseError> {
        let subnet = self.spec.subnet;
        if !subnet.contains(&address) {
            return Err(LeaseError::Outside {
                address,
                subnets: vec![subnet],
            });
        }
        if let Some(role) = reservation(&subnet, address) {
            return Err(LeaseError::Reserved {
                address,
                role,
                subnet,
            });
        }
        let number = number(address);
        if let Some(holder) = self.leases.get(&number) {
            return Err(LeaseError::Taken {
                address,
                holder: holder.clone(),
            });
        }
        if let Some(since) = self.resting_since.remove(&number) {
            self.resting.remove(&since);
        }
        self.free.remove(number);
        self.leases.insert(number, holder);
        Ok(())
    }

    fn rest(&mut self, number: u128) {
        self.release_count += 1;
        self.resting.insert(self.release_count, number);
        self.resting_since.insert(number, self.release_count);
        if self.resting.len() > RESTING_LIMIT
            && let Some(oldest) = self.oldest_resting()
        {
            self.free.insert(oldest);
        }
    }

    fn oldest_resting(&mut self) -> Option<u128> {
        let (_, number) = self.resting.pop_first()?;
        self.resting_since.remove(&number);
        Some(number)
    }
}

fn validate_prefix(subnet: IpNet) -> Result<(), SubnetError> {
    if subnet.trunc() != subnet {
        return Err(SubnetError::HostBits {
            given: subnet,
            subnet: subnet.trunc(),
        });
    }
    let in_the_way = UNUSABLE_BLOCKS.into_iter().find(|(block, _)| {
        block
            .parse()
            .is_ok_and(|block: IpNet| overlap(&block, &subnet))
    });
    match in_the_way {
        Some((block, kind)) => Err(SubnetError::Unusable {
            subnet,
            block,
            kind,
        }),
        None => Ok(()),
    }
}

/// Returns the numbers of the first and the last address that can be leased.
fn usable(subnet: &IpNet) -> (u128, u128) {
    let (first, last) = bounds(subnet);
    match subnet {
        // Point-to-point and host prefixes have nothing to spare (RFC 3021, RFC 6164).
        IpNet::V4(v4) if v4.prefix_len() >= 31 => (first, last),
        IpNet::V6(v6) if v6.prefix_len() >= 127 => (first, last),
        IpNet::V4(_) => (first + 1, last - 1),
        IpNet::V6(_) => (first + 1, last),
    }
}

fn reservation(subnet: &IpNet, address: IpAddr) -> Option<Reservation> {
    let (first, last) = usable(subnet);
    let number = number(address);
    match Family::of(address) {
        Family::V4 if number < first => Some(Reservation::Network),
        Family::V6 if number < first => Some(Reservation::RouterAnycast),
        Family::V4 | Family::V6 if number > last => Some(Reservation::Broadcast),
        Family::V4 | Family::V6 => None,
    }
}
