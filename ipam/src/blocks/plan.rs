//! How a subnet is divided into blocks, and which of its addresses are never leased.

use core::net::IpAddr;
use std::collections::BTreeSet;

use ipnet::IpNet;
use thiserror::Error;

use super::BlockError;
use crate::number::{bounds, number};
use crate::subnet::usable;
use crate::{Family, Subnet};

/// Most bits of an address that tell its place in a block: a block is one value in the store, which hosts
/// read and write as a whole.
const PLACE_BITS_MAX: u8 = 12;

/// The blocks of a subnet, the same on every host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockPlan {
    /// What is divided: the ip-range of the subnet.
    range: IpNet,
    block_len: u8,
    /// The first and the last address that can be leased.
    first: u128,
    last: u128,
    reserved: BTreeSet<u128>,
}

/// A subnet cannot be divided so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{range} cannot be divided into /{block_len} blocks: give a length from {least} to {most}")]
pub struct BlockPlanError {
    range: IpNet,
    block_len: u8,
    least: u8,
    most: u8,
}

impl BlockPlan {
    /// The prefix length of IPv4 blocks if nothing else is said: 64 addresses, as Calico has it.
    pub const DEFAULT_LEN_V4: u8 = 26;
    /// The prefix length of IPv6 blocks if nothing else is said: 64 addresses.
    pub const DEFAULT_LEN_V6: u8 = 122;

    /// Returns the blocks of the ip-range of `subnet`, each with a prefix of `block_len` bits; without one of 64
    /// addresses, or the whole range if that is smaller. The gateway and the auxiliary addresses are left out.
    ///
    /// # Errors
    ///
    /// When a block would be larger than the range, or than 4,096 addresses.
    pub fn new(subnet: &Subnet, block_len: Option<u8>) -> Result<Self, BlockPlanError> {
        let range = subnet.ip_range();
        let default = match Family::of_prefix(&range) {
            Family::V4 => Self::DEFAULT_LEN_V4,
            Family::V6 => Self::DEFAULT_LEN_V6,
        };
        let most = range.max_prefix_len();
        let least = range.prefix_len().max(most - PLACE_BITS_MAX);
        let block_len = block_len.unwrap_or_else(|| default.max(least));
        if !(least..=most).contains(&block_len) {
            return Err(BlockPlanError {
                range,
                block_len,
                least,
                most,
            });
        }
        let (first_usable, last_usable) = usable(&subnet.prefix());
        let (first, last) = bounds(&range);
        let auxiliaries = subnet.spec().aux_addresses.values();
        Ok(Self {
            range,
            block_len,
            first: first.max(first_usable),
            last: last.min(last_usable),
            reserved: auxiliaries
                .copied()
                .chain([subnet.gateway()])
                .map(number)
                .collect(),
        })
    }

    /// Returns what is divided.
    pub const fn range(&self) -> IpNet {
        self.range
    }

    /// Returns the block that `address` is in.
    ///
    /// # Errors
    ///
    /// When it is outside of the range, or never leased.
    pub fn block_of(&self, address: IpAddr) -> Result<IpNet, BlockError> {
        if !self.range.contains(&address) {
            return Err(BlockError::Outside {
                address,
                range: self.range,
            });
        }
        if !self.is_leasable(number(address)) {
            return Err(BlockError::Reserved { address });
        }
        let width_left = self.range.max_prefix_len() - self.block_len;
        Ok(self.prefix_at(number(address) >> width_left << width_left))
    }

    pub(super) const fn family(&self) -> Family {
        Family::of_prefix(&self.range)
    }

    /// Tells whether an address may be given to an endpoint.
    pub(super) fn is_leasable(&self, number: u128) -> bool {
        (self.first..=self.last).contains(&number) && !self.reserved.contains(&number)
    }

    /// Returns how many blocks there are.
    pub(super) fn block_count(&self) -> u128 {
        1_u128
            .checked_shl((self.block_len - self.range.prefix_len()).into())
            .unwrap_or(u128::MAX)
    }

    /// Returns the first number of the block with this index, which is below [`BlockPlan::block_count`].
    pub(super) fn first_at(&self, index: u128) -> u128 {
        let place_bits = self.range.max_prefix_len() - self.block_len;
        number(self.range.network()) | index << place_bits
    }

    /// Returns the block that begins at `first`.
    #[expect(
        clippy::expect_used,
        reason = "the length was checked when the plan was made"
    )]
    pub(super) fn prefix_at(&self, first: u128) -> IpNet {
        let address = self.family().address(first);
        IpNet::new(address, self.block_len).expect("the length is one of the family")
    }

    /// Returns the first number of `prefix`, if it is one of the blocks.
    pub(super) fn first_of(&self, prefix: IpNet) -> Option<u128> {
        let is_block = prefix.prefix_len() == self.block_len
            && prefix.trunc() == prefix
            && self.range.contains(&prefix);
        is_block.then(|| number(prefix.network()))
    }
}
