//! One block: the value of a register in the store.

use core::fmt;
use core::net::IpAddr;
use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::BlockPlan;
use crate::Family;
use crate::mac::fnv_1a;
use crate::number::number;

/// The name of a host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(String);

/// Some addresses, the host that gives them, and who has them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    prefix: IpNet,
    /// The host that gives these addresses.
    affinity: Option<NodeId>,
    /// By their place in the block, from 0.
    leases: BTreeMap<u16, BlockLease>,
    /// The place after the one that was leased last: those that were released lately come last.
    next: u16,
}

/// Who has an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockLease {
    /// The host of the endpoint; another one than the block's if the address is borrowed.
    pub node: NodeId,
    /// The endpoint.
    pub owner: String,
}

/// A block does not permit what was asked of it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The block has another host.
    #[error("block {prefix} is that of host {node}")]
    OfOther {
        /// The block.
        prefix: IpNet,
        /// Its host.
        node: NodeId,
    },
    /// The address is leased.
    #[error("{address} is in use by {owner} on host {node}")]
    Taken {
        /// The address.
        address: IpAddr,
        /// The endpoint that has it.
        owner: String,
        /// The host of that.
        node: NodeId,
    },
    /// The address is not of the range that is divided.
    #[error("{address} is outside of {range}")]
    Outside {
        /// The address.
        address: IpAddr,
        /// The range.
        range: IpNet,
    },
    /// The address is never leased.
    #[error(
        "{address} is reserved: for the gateway, for something else, or by its place in the subnet"
    )]
    Reserved {
        /// The address.
        address: IpAddr,
    },
    /// The register is not that of a block of this subnet.
    #[error("{prefix} is no block of this subnet")]
    NotOfPlan {
        /// What it claims to be.
        prefix: IpNet,
    },
    /// The value in a register contradicts itself.
    #[error("the register of block {prefix} holds {found}")]
    Malformed {
        /// The block.
        prefix: IpNet,
        /// What is wrong.
        found: &'static str,
    },
}

impl NodeId {
    /// Returns the name of a host.
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a number that spreads names.
    pub(super) fn hash(&self) -> u128 {
        fnv_1a(self.0.as_bytes()).into()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Block {
    /// Returns a block that `node` has claimed and in which nothing is leased.
    pub(super) const fn claimed(prefix: IpNet, node: NodeId) -> Self {
        Self {
            prefix,
            affinity: Some(node),
            leases: BTreeMap::new(),
            next: 0,
        }
    }

    /// Makes a block that no host has that of `node`.
    pub(super) fn claim(&mut self, node: &NodeId) -> Result<(), BlockError> {
        match &self.affinity {
            Some(other) if other != node => Err(BlockError::OfOther {
                prefix: self.prefix,
                node: other.clone(),
            }),
            Some(_) | None => {
                self.affinity = Some(node.clone());
                Ok(())
            }
        }
    }

    /// Takes the block from `node`, if it is that one's; leases stay.
    pub(super) fn give_up(&mut self, node: &NodeId) {
        if self.affinity.as_ref() == Some(node) {
            self.affinity = None;
        }
    }

    /// Takes from `node` the block and all leases.
    pub(super) fn forget(&mut self, node: &NodeId) {
        self.give_up(node);
        self.leases.retain(|_, lease| lease.node != *node);
    }

    /// Leases the next free address; `None` when there is none.
    pub(super) fn lease_next(
        &mut self,
        plan: &BlockPlan,
        node: &NodeId,
        owner: &str,
    ) -> Option<IpAddr> {
        let place = self.next_free(plan)?;
        self.leases.insert(place, BlockLease::new(node, owner));
        self.next = place.saturating_add(1);
        Some(self.address(place))
    }

    /// Leases an address of the block.
    pub(super) fn lease(
        &mut self,
        address: IpAddr,
        node: &NodeId,
        owner: &str,
    ) -> Result<(), BlockError> {
        let place = self.place(address).ok_or(BlockError::Outside {
            address,
            range: self.prefix,
        })?;
        if let Some(lease) = self.leases.get(&place) {
            return Err(BlockError::Taken {
                address,
                owner: lease.owner.clone(),
                node: lease.node.clone(),
            });
        }
        self.leases.insert(place, BlockLease::new(node, owner));
        Ok(())
    }

    /// Ends the lease of an address if it is that of this endpoint.
    pub(super) fn release(&mut self, address: IpAddr, node: &NodeId, owner: &str) {
        let place = self.place(address);
        self.leases
            .retain(|at, lease| Some(*at) != place || lease.node != *node || lease.owner != owner);
    }

    /// Returns the place of the next address that can be leased, round and round.
    pub(super) fn next_free(&self, plan: &BlockPlan) -> Option<u16> {
        let size = self.size();
        let mut places = (self.next.min(size)..size).chain(0..self.next.min(size));
        places.find(|place| {
            !self.leases.contains_key(place) && plan.is_leasable(number(self.address(*place)))
        })
    }

    /// Returns which addresses it is.
    pub const fn prefix(&self) -> IpNet {
        self.prefix
    }

    /// Returns the host that gives its addresses.
    pub const fn affinity(&self) -> Option<&NodeId> {
        self.affinity.as_ref()
    }

    /// Returns who has an address.
    pub fn holder(&self, address: IpAddr) -> Option<&BlockLease> {
        self.leases.get(&self.place(address)?)
    }

    /// Tells whether nothing is leased in it.
    pub fn is_unused(&self) -> bool {
        self.leases.is_empty()
    }

    /// Tells whether it is that of `node`, or an endpoint there has an address of it.
    pub(super) fn concerns(&self, node: &NodeId) -> bool {
        self.affinity.as_ref() == Some(node)
            || self.leases.values().any(|lease| lease.node == *node)
    }

    /// Returns the endpoints of `node` that have addresses of it.
    pub(super) fn leases_of<'s>(
        &'s self,
        node: &'s NodeId,
    ) -> impl Iterator<Item = (IpAddr, &'s str)> {
        let leases = self.leases.iter();
        leases
            .filter(|(_, lease)| lease.node == *node)
            .map(|(place, lease)| (self.address(*place), lease.owner.as_str()))
    }

    /// Refuses a value that is not that of the block `prefix`, or has leases outside of it.
    pub(super) fn validate(&self, prefix: IpNet) -> Result<(), BlockError> {
        let malformed = |found| Err(BlockError::Malformed { prefix, found });
        if self.prefix != prefix {
            return malformed("another block");
        }
        if self.leases.keys().any(|place| *place >= self.size()) {
            return malformed("a lease outside of it");
        }
        Ok(())
    }

    fn size(&self) -> u16 {
        let place_bits = self.prefix.max_prefix_len() - self.prefix.prefix_len();
        1_u16.checked_shl(place_bits.into()).unwrap_or(u16::MAX)
    }

    fn address(&self, place: u16) -> IpAddr {
        let first = number(self.prefix.network());
        Family::of_prefix(&self.prefix).address(first + u128::from(place))
    }

    fn place(&self, address: IpAddr) -> Option<u16> {
        if !self.prefix.contains(&address) {
            return None;
        }
        u16::try_from(number(address) - number(self.prefix.network())).ok()
    }
}

impl BlockLease {
    fn new(node: &NodeId, owner: &str) -> Self {
        Self {
            node: node.clone(),
            owner: owner.to_owned(),
        }
    }
}
