//! One subnet: what may be leased, what is leased to whom, what comes next.
//!
//! # States of an address
//!
//! ```text
//!              lease_next                release, set_aside
//!   free ───────────────────────► leased ──────────────► resting
//!    ▲  └────── lease ──────────►  │ ▲                    │  │
//!    │         release, and        │ │  lease; lease_next │  │
//!    │     outside of the range    │ │  of who had it, or │  │
//!    ├─────────────────────────────┘ │  when none is free │  │
//!    │                               └────────────────────┘  │
//!    └────────── Resting::LIMIT others were released ────────┘
//! ```
//!
//! `lease_next` gives back to a returning owner the address that it had ([`Resting`]). To others it
//! gives the first free address after the one it gave last, round and round, so that the address
//! least recently used comes first; what rests, when nothing is free, in the order of release. The
//! gateway and the auxiliary addresses are leased from the start and never released; the first and
//! the last address of an IPv4 subnet and the first of an IPv6 subnet are never leased
//! (point-to-point prefixes excepted).

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use crate::free::FreeSet;
use crate::number::{bounds, number};
use crate::resting::Resting;
use crate::unusable::block_in;
use crate::{Family, Released};

pub use error::{Holder, LeaseError, Reservation, SubnetError};

mod error;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

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
    /// Members of the range that were released and come last.
    resting: Resting,
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
            resting: Resting::default(),
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
        self.lease_to(address, Holder::Endpoint(owner.into()))
    }

    /// Leases to the endpoint called `owner` the address that it had last, if that rests; else the next
    /// one that is free; else the one that has rested longest. `None` when every address of the ip-range
    /// is leased.
    pub fn lease_next(&mut self, owner: &str) -> Option<IpAddr> {
        self.lease_again(owner)
            .or_else(|| self.lease_free(owner))
            .or_else(|| self.lease_rested(owner))
    }

    /// Leases to the endpoint called `owner` the address that it had last, if that rests.
    pub fn lease_again(&mut self, owner: &str) -> Option<IpAddr> {
        let (number, owner) = self.resting.take_of(owner)?;
        Some(self.give(number, owner))
    }

    /// Leases to the endpoint called `owner` the next address of the ip-range that is free and does not
    /// rest.
    pub fn lease_free(&mut self, owner: &str) -> Option<IpAddr> {
        let number = self.free.next_from(self.cursor)?;
        self.free.remove(number);
        self.cursor = number.saturating_add(1);
        Some(self.give(number, owner.into()))
    }

    /// Leases to the endpoint called `owner` the address that has rested longest, whoever had it.
    pub fn lease_rested(&mut self, owner: &str) -> Option<IpAddr> {
        let number = self.resting.take_oldest()?;
        Some(self.give(number, owner.into()))
    }

    /// Ends the lease of `address` and tells whether an endpoint had it. If it is in the ip-range, its
    /// holder is remembered.
    pub fn release(&mut self, address: IpAddr) -> bool {
        let owner = self.take_back(address);
        if let Some((number, owner)) = &owner {
            self.rest(*number, Some(Arc::clone(owner)));
        }
        owner.is_some()
    }

    /// Ends the lease of `address`, which something that has no lease was found to use, and tells whether
    /// an endpoint had it. The address comes last from now on, and its holder is not remembered.
    pub fn set_aside(&mut self, address: IpAddr) -> bool {
        let owner = self.take_back(address);
        if let Some((number, _)) = owner {
            self.rest(number, None);
        }
        owner.is_some()
    }

    /// Remembers that an address was released, as the last one so far. Does nothing when the address is
    /// leased, outside of the ip-range or reserved.
    pub fn remember(&mut self, released: &Released) {
        let address = released.address;
        if !self.ip_range().contains(&address) {
            return;
        }
        let number = number(address);
        if self.resting.take(number) || self.free.remove(number) {
            self.rest(number, Some(released.owner.as_str().into()));
        }
    }

    /// Returns the released addresses whose holders are remembered, the one released first coming first:
    /// what [`Subnet::remember`] takes after a restart.
    pub fn released(&self) -> impl Iterator<Item = Released> {
        let family = Family::of_prefix(&self.spec.subnet);
        self.resting
            .remembered()
            .map(move |(number, owner)| Released {
                address: family.address(number),
                owner: owner.to_owned(),
            })
    }

    /// Returns who had `address`, if it rests and that is remembered.
    pub fn last_owner(&self, address: IpAddr) -> Option<&str> {
        let is_ours = self.spec.subnet.contains(&address);
        is_ours.then(|| self.resting.last_owner(number(address)))?
    }

    /// Tells whether `address` will rest when it is released, and its holder be remembered.
    pub fn will_rest(&self, address: IpAddr) -> bool {
        self.ip_range().contains(&address)
    }

    /// Returns the address whose holder is forgotten when one more is released: there are as many as are remembered.
    pub fn next_to_forget(&self) -> Option<IpAddr> {
        let family = Family::of_prefix(&self.spec.subnet);
        let number = self.resting.next_to_forget()?;
        Some(family.address(number))
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
        self.resting.take(number);
        self.free.remove(number);
        self.leases.insert(number, holder);
        Ok(())
    }

    /// Leases a number that is neither free nor resting any more.
    fn give(&mut self, number: u128, owner: Arc<str>) -> IpAddr {
        self.leases.insert(number, Holder::Endpoint(owner));
        Family::of_prefix(&self.spec.subnet).address(number)
    }

    /// Ends the lease of an endpoint.
    fn take_back(&mut self, address: IpAddr) -> Option<(u128, Arc<str>)> {
        let number = number(address);
        if !self.spec.subnet.contains(&address) {
            return None;
        }
        let Some(Holder::Endpoint(owner)) = self.leases.get(&number) else {
            return None;
        };
        let owner = Arc::clone(owner);
        self.leases.remove(&number);
        Some((number, owner))
    }

    fn rest(&mut self, number: u128, owner: Option<Arc<str>>) {
        let address = Family::of_prefix(&self.spec.subnet).address(number);
        if self.ip_range().contains(&address)
            && let Some(rested) = self.resting.push(number, owner)
        {
            self.free.insert(rested);
        }
    }
}

fn validate_prefix(subnet: IpNet) -> Result<(), SubnetError> {
    if subnet.trunc() != subnet {
        return Err(SubnetError::HostBits {
            given: subnet,
            subnet: subnet.trunc(),
        });
    }
    match block_in(&subnet) {
        Some((block, kind)) => Err(SubnetError::Unusable {
            subnet,
            block,
            kind,
        }),
        None => Ok(()),
    }
}

/// Returns the numbers of the first and the last address that can be leased.
pub(crate) fn usable(subnet: &IpNet) -> (u128, u128) {
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
