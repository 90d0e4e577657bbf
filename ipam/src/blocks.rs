//! Blocks of a subnet that several hosts share: what one host knows of them, and what it proposes.
//!
//! # Theory of operation
//!
//! Hosts that asked a common store for every address would wait for each other. So the subnet is divided into
//! blocks ([`BlockPlan`]), a host claims whole ones, and gives addresses from its own. Calico's IPAM is the model.
//! What is agreed on is one value a block ([`Block`]), which the store keeps in a register of its own and changes only by
//! compare-and-swap. Nothing else is shared, and nothing is locked.
//!
//! This file is one host's side, as a value. It is told what registers hold ([`Blocks::observe`]), and answers
//! with the swap to try ([`Proposal`]). The caller asks the store for it:
//!
//! ```text
//!            ┌────────────── observe(what is there) ◄─────────────┐
//!            ▼                                                    │
//!   propose_lease(owner) ──► Proposal ──► compare-and-swap ──► refused
//!            │                                    └────────────► done ──► observe(what was written)
//!            ▼
//!          Held(address)
//! ```
//!
//! Safety rests on the registers alone. A proposal is made from what the register held at `expected` and is
//! refused if it holds anything else by now, so a host whose picture is old loses a round and never an address. A host that
//! does not learn whether its swap was done reads the register again: its lease is there or not ([`Lease::Held`]).
//!
//! An address is taken, in this order, from a block of the host's own; from a block that no host has, which it
//! claims with the same swap, beginning at a place that depends on the host's name, so that hosts that start together
//! seldom meet; and, when there is none and [`Borrowing`] permits it, from another host's block. Who lent
//! keeps the block.
//!
//! When a host is dead, which is for its lease in the store to say, any other takes its blocks and leases back
//! ([`Blocks::propose_reclaim`]). Should it live after all, its next swap is refused, it reads, and finds
//! that it has nothing.

use core::fmt;
use core::net::IpAddr;
use std::collections::BTreeMap;

use ipnet::IpNet;
use thiserror::Error;

use crate::number::number;

pub use block::{Block, BlockError, BlockLease, NodeId};
pub use plan::{BlockPlan, BlockPlanError};

mod block;
mod plan;
#[cfg(test)]
mod tests;

/// Whether a host takes addresses from the blocks of others when there is no other way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Borrowing {
    /// It does: no address is left unused.
    Permitted,
    /// It does not: a host's addresses are those of its blocks, so that routes need no exceptions.
    Refused,
}

/// What one host knows of the blocks of a subnet. `R` tells two states of a register apart: the store's
/// revision of it.
#[derive(Clone, Debug)]
pub struct Blocks<R> {
    plan: BlockPlan,
    node: NodeId,
    borrowing: Borrowing,
    /// By the number of their first address.
    known: BTreeMap<u128, (Block, R)>,
    /// The addresses of this host's endpoints.
    own: BTreeMap<String, u128>,
}

/// A compare-and-swap to ask the store for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal<R> {
    /// The block whose register it is.
    pub prefix: IpNet,
    /// What the register has to be at; `None` when there must be none.
    pub expected: Option<R>,
    /// What it is to hold; `None` to delete it.
    pub block: Option<Block>,
}

/// The answer to a wish for an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lease<R> {
    /// The endpoint has this address already.
    Held(IpAddr),
    /// It has this address when the swap is done.
    Proposed {
        /// The address.
        address: IpAddr,
        /// The swap.
        proposal: Proposal<R>,
    },
}

/// No host can be given an address, as far as this one knows.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("no address is free for host {node} in {range}: {blocks} blocks of it are claimed")]
pub struct BlocksExhausted {
    node: NodeId,
    range: IpNet,
    blocks: usize,
}

impl<R: Clone> Blocks<R> {
    /// Returns what a host called `node` knows at first: nothing. The caller tells it of every register that
    /// there is before it proposes, or its first proposals are refused.
    pub const fn new(plan: BlockPlan, node: NodeId, borrowing: Borrowing) -> Self {
        Self {
            plan,
            node,
            borrowing,
            known: BTreeMap::new(),
            own: BTreeMap::new(),
        }
    }

    /// Notes what the register of a block holds, `None` when there is none.
    ///
    /// # Errors
    ///
    /// When that is no block of this subnet, so that something else wrote it.
    pub fn observe(&mut self, prefix: IpNet, held: Option<(Block, R)>) -> Result<(), BlockError> {
        let first = self
            .plan
            .first_of(prefix)
            .ok_or(BlockError::NotOfPlan { prefix })?;
        if let Some((block, _)) = &held {
            block.validate(prefix)?;
        }
        let last = number(prefix.broadcast());
        self.own
            .retain(|_, address| !(first..=last).contains(address));
        match held {
            Some((block, revision)) => {
                let own = block.leases_of(&self.node);
                self.own
                    .extend(own.map(|(address, owner)| (owner.to_owned(), number(address))));
                self.known.insert(first, (block, revision));
            }
            None => {
                self.known.remove(&first);
            }
        }
        Ok(())
    }

    /// Proposes to lease any address to the endpoint called `owner`.
    ///
    /// # Errors
    ///
    /// When none is left for this host.
    pub fn propose_lease(&self, owner: &str) -> Result<Lease<R>, BlocksExhausted> {
        if let Some(address) = self.own.get(owner) {
            return Ok(Lease::Held(self.plan.family().address(*address)));
        }
        let own = self.known.values().filter(|(block, _)| self.is_own(block));
        let unclaimed = self
            .known
            .values()
            .filter(|(block, _)| block.affinity().is_none());
        let mut others = self
            .known
            .values()
            .filter(|_| self.borrowing == Borrowing::Permitted);
        let from_known = |(block, revision): &(Block, R)| {
            let mut block = block.clone();
            if block.affinity().is_none() {
                block.claim(&self.node).ok()?;
            }
            self.lease_in(block, Some(revision.clone()), owner)
        };
        let from_new = |first| {
            let block = Block::claimed(self.plan.prefix_at(first), self.node.clone());
            self.lease_in(block, None, owner)
        };
        own.map(from_known)
            .chain(unclaimed.map(from_known))
            .flatten()
            .next()
            .or_else(|| self.unknown_blocks().find_map(from_new))
            .or_else(|| others.find_map(from_known))
            .ok_or_else(|| BlocksExhausted {
                node: self.node.clone(),
                range: self.plan.range(),
                blocks: self.known.len(),
            })
    }

    /// Proposes to lease `address` to the endpoint called `owner`, whoever has its block.
    ///
    /// # Errors
    ///
    /// When it is not of the range, reserved or leased, or its block is another host's and borrowing is refused.
    pub fn propose_fixed(&self, address: IpAddr, owner: &str) -> Result<Lease<R>, BlockError> {
        if self.own.get(owner) == Some(&number(address)) {
            return Ok(Lease::Held(address));
        }
        let prefix = self.plan.block_of(address)?;
        let held = self.known.get(&number(prefix.network()));
        let (mut block, expected) = match held {
            Some((block, revision)) => (block.clone(), Some(revision.clone())),
            None => (Block::claimed(prefix, self.node.clone()), None),
        };
        if let Some(other) = block.affinity()
            && *other != self.node
            && self.borrowing == Borrowing::Refused
        {
            return Err(BlockError::OfOther {
                prefix,
                node: other.clone(),
            });
        }
        block.lease(address, &self.node, owner)?;
        Ok(Lease::Proposed {
            address,
            proposal: Proposal {
                prefix,
                expected,
                block: Some(block),
            },
        })
    }

    /// Proposes to end the lease that an endpoint of this host has; `None` when it has none. The block stays
    /// with the host that has it, and is deleted when no host has it and nothing is leased in it.
    pub fn propose_release(&self, owner: &str) -> Option<Proposal<R>> {
        let address = self.plan.family().address(*self.own.get(owner)?);
        self.proposal(self.plan.block_of(address).ok()?, |block| {
            block.release(address, &self.node, owner);
        })
    }

    /// Proposes to give back one block of this host in which nothing is leased, if it has another one with room;
    /// `None` when there is nothing to give back.
    pub fn propose_return(&self) -> Option<Proposal<R>> {
        let own = || self.known.values().filter(|(block, _)| self.is_own(block));
        let (empty, _) = own().find(|(block, _)| block.is_unused())?;
        let has_other = own().any(|(block, _)| {
            block.prefix() != empty.prefix() && block.next_free(&self.plan).is_some()
        });
        if !has_other {
            return None;
        }
        self.proposal(empty.prefix(), |block| block.give_up(&self.node))
    }

    /// Proposes to take back one block in which a host that is dead has something; `None` when there is none
    /// left.
    pub fn propose_reclaim(&self, dead: &NodeId) -> Option<Proposal<R>> {
        let mut known = self.known.values();
        let (block, _) = known.find(|(block, _)| block.concerns(dead))?;
        self.proposal(block.prefix(), |block| block.forget(dead))
    }

    /// Returns the address of an endpoint of this host.
    pub fn address_of(&self, owner: &str) -> Option<IpAddr> {
        let number = self.own.get(owner)?;
        Some(self.plan.family().address(*number))
    }

    /// Returns the blocks that this host has: what others send to it.
    pub fn own_prefixes(&self) -> impl Iterator<Item = IpNet> {
        let own = self.known.values().filter(|(block, _)| self.is_own(block));
        own.map(|(block, _)| block.prefix())
    }

    /// Returns how the subnet is divided.
    pub const fn plan(&self) -> &BlockPlan {
        &self.plan
    }

    fn is_own(&self, block: &Block) -> bool {
        block.affinity() == Some(&self.node)
    }

    /// Proposes the next address of `block`, if it has one.
    fn lease_in(&self, mut block: Block, expected: Option<R>, owner: &str) -> Option<Lease<R>> {
        let address = block.lease_next(&self.plan, &self.node, owner)?;
        Some(Lease::Proposed {
            address,
            proposal: Proposal {
                prefix: block.prefix(),
                expected,
                block: Some(block),
            },
        })
    }

    /// Proposes a change of a block that is known.
    fn proposal(&self, prefix: IpNet, change: impl FnOnce(&mut Block)) -> Option<Proposal<R>> {
        let (block, revision) = self.known.get(&number(prefix.network()))?;
        let mut block = block.clone();
        change(&mut block);
        let is_needed = block.affinity().is_some() || !block.is_unused();
        Some(Proposal {
            prefix,
            expected: Some(revision.clone()),
            block: is_needed.then_some(block),
        })
    }

    /// Returns the first numbers of blocks without a register, as far as is known, beginning where this host's
    /// name points. Looks at each known block at most twice.
    fn unknown_blocks(&self) -> impl Iterator<Item = u128> {
        let count = self.plan.block_count();
        let start = self.node.hash() % count;
        let from_start = self.gaps(start, count);
        from_start.chain(self.gaps(0, start))
    }

    /// Returns the first numbers of blocks without a register among those with the indexes from `start` up to,
    /// not including, `end`.
    fn gaps(&self, start: u128, end: u128) -> impl Iterator<Item = u128> {
        let indexes = core::iter::successors(Some(start), |index| index.checked_add(1));
        indexes
            .take_while(move |index| *index < end)
            .map(|index| self.plan.first_at(index))
            .filter(|first| !self.known.contains_key(first))
    }
}

impl<R> fmt::Display for Proposal<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (&self.expected, &self.block) {
            (None, _) => "make",
            (Some(_), Some(_)) => "change",
            (Some(_), None) => "delete",
        };
        write!(f, "{what} block {}", self.prefix)
    }
}
