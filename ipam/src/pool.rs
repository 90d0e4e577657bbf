//! Pools from which a network gets its subnet when none was asked for.

use core::fmt;
use core::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use crate::Family;
use crate::number::bounds;

/// A block that is handed out in subnets of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool {
    block: IpNet,
    subnet_len: u8,
}

/// The sizes of a pool do not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{block} cannot be handed out in /{subnet_len} subnets")]
pub struct PoolError {
    block: IpNet,
    subnet_len: u8,
}

impl Pool {
    /// Returns the pool that hands out `block` in subnets of `subnet_len` bits of prefix.
    ///
    /// # Errors
    ///
    /// When a subnet would be larger than the block, or longer than an address.
    pub fn new(block: IpNet, subnet_len: u8) -> Result<Self, PoolError> {
        let width = Family::of_prefix(&block).width();
        if subnet_len < block.prefix_len() || subnet_len > width {
            return Err(PoolError { block, subnet_len });
        }
        Ok(Self {
            block: block.trunc(),
            subnet_len,
        })
    }

    /// Returns the first subnet that has no address in `taken`, whose intervals are in order of their
    /// first number. Looks at each interval once, whatever the size of the block.
    fn first_free(&self, taken: &[(u128, u128)]) -> Option<IpNet> {
        let family = Family::of_prefix(&self.block);
        let host_mask = family.host_mask(self.subnet_len);
        let (mut candidate, end) = bounds(&self.block);
        for &(first, last) in taken {
            if first > candidate | host_mask {
                break;
            }
            if last >= candidate {
                candidate = (last | host_mask).checked_add(1)?;
            }
        }
        if candidate > end {
            return None;
        }
        IpNet::new(family.address(candidate), self.subnet_len).ok()
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in /{}s", self.block, self.subnet_len)
    }
}

/// The pools of a host, asked in turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DefaultPools {
    pools: Vec<Pool>,
}

/// Every subnet of every pool is in use.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("no subnet is free in the default pools ({pools})")]
pub struct PoolsExhausted {
    pools: DefaultPools,
}

impl Default for DefaultPools {
    /// `10.192.0.0/12` in /24s: 4096 networks, in a block that neither Docker, Kubernetes nor the
    /// common home routers take by default.
    fn default() -> Self {
        const BLOCK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 192, 0, 0), 12);
        Self::new(vec![Pool {
            block: IpNet::V4(BLOCK),
            subnet_len: 24,
        }])
    }
}

impl DefaultPools {
    /// Returns the pools, to be asked in this order.
    pub const fn new(pools: Vec<Pool>) -> Self {
        Self { pools }
    }

    /// Returns the first subnet of the first pool that overlaps none of `taken`: the other networks,
    /// and the routes and interfaces of the host. Default routes (prefix length 0) are ignored.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn choose(&self, taken: impl IntoIterator<Item = IpNet>) -> Result<IpNet, PoolsExhausted> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for prefix in taken {
            match Family::of_prefix(&prefix) {
                _ if prefix.prefix_len() == 0 => {}
                Family::V4 => v4.push(bounds(&prefix)),
                Family::V6 => v6.push(bounds(&prefix)),
            }
        }
        v4.sort_unstable();
        v6.sort_unstable();
        let free = self.pools.iter().find_map(|pool| {
            pool.first_free(match Family::of_prefix(&pool.block) {
                Family::V4 => &v4,
                Family::V6 => &v6,
            })
        });
        free.ok_or_else(|| PoolsExhausted {
            pools: self.clone(),
        })
    }
}

impl fmt::Display for DefaultPools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pool) in self.pools.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{pool}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop};
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::number::overlap;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn prefix_in_pool() -> impl Strategy<Value = IpNet> {
        // Between the size of the pool and that of a host route, most inside of the pool.
        (any_low_bits(), 8..=32_u8).prop_map(|(low, len)| {
            let address = Ipv4Addr::from_bits(0x0ac0_0000 ^ low);
            IpNet::V4(Ipv4Net::new(address, len.max(11)).unwrap()).trunc()
        })
    }

    fn any_low_bits() -> impl Strategy<Value = u32> {
        0..0x003f_ffff_u32
    }

    proptest! {
        #[test]
        fn the_choice_is_the_first_subnet_that_a_scan_finds_free(
            taken in prop::collection::vec(prefix_in_pool(), 0..40),
        ) {
            let scan = net("10.192.0.0/12")
                .subnets(24)
                .unwrap()
                .find(|subnet| !taken.iter().any(|other| overlap(subnet, other)));
            prop_assert_eq!(DefaultPools::default().choose(taken).ok(), scan);
            if let Some(subnet) = scan {
                prop_assert!(net("10.192.0.0/12").contains(&subnet));
            }
        }
    }

    #[test]
    fn routes_of_the_host_are_avoided_but_not_its_default_route() {
        let pools = DefaultPools::default();
        let taken = [
            net("0.0.0.0/0"),
            net("10.192.0.128/25"),
            net("10.192.1.0/24"),
        ];
        assert_eq!(pools.choose(taken).unwrap(), net("10.192.2.0/24"));
    }

    #[test]
    fn an_exhausted_pool_is_named() {
        let error = DefaultPools::default().choose([net("10.0.0.0/8")]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "no subnet is free in the default pools (10.192.0.0/12 in /24s)"
        );
    }

    #[test]
    fn the_end_of_the_address_space_is_not_passed() {
        let top = |text: &str, len| DefaultPools::new(vec![Pool::new(net(text), len).unwrap()]);
        top("255.255.255.0/24", 25)
            .choose([net("255.255.255.0/24")])
            .unwrap_err();
        let v6 = top("ffff::/16", 64);
        v6.choose([net("ffff::/16")]).unwrap_err();
        assert_eq!(
            v6.choose([net("ffff::/64")]).unwrap(),
            net("ffff:0:0:1::/64")
        );
    }

    #[test]
    fn subnets_larger_than_their_block_are_refused() {
        Pool::new(net("10.0.0.0/12"), 11).unwrap_err();
        Pool::new(net("10.0.0.0/12"), 33).unwrap_err();
        Pool::new(net("fd00::/8"), 129).unwrap_err();
    }
}
