//! Pools from which a network gets a subnet when none was asked for.
//!
//! A pool is a block that is handed out in subnets of one size. Networks that ask for another size get
//! it from the same blocks: what counts is that nothing overlaps, not where a subnet begins.

use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Family;
use crate::number::bounds;
use crate::unusable::block_in;

/// Routes with prefixes of up to this length say where to send what has no other route, and not who has
/// which addresses: the default route, and the two halves that VPNs put in its place.
const DEFAULT_ROUTE_LEN: u8 = 1;

/// A block that is handed out in subnets of one size. Written as Docker writes it: `base=10.192.0.0/12,size=24`,
/// or a table with the keys `base` and `size`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Pool {
    block: IpNet,
    subnet_len: u8,
}

/// A pool as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    base: IpNet,
    size: u8,
}

/// A block cannot be a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The sizes do not fit.
    #[error(
        "{block} cannot be handed out in /{subnet_len} subnets: give a size from {} to {}",
        .block.prefix_len(),
        .block.max_prefix_len()
    )]
    Size {
        /// The block.
        block: IpNet,
        /// The length of the subnets' prefix.
        subnet_len: u8,
    },
    /// Bits after the prefix are set.
    #[error("{given} has host bits set; the block is {}", .given.trunc())]
    HostBits {
        /// What was given.
        given: IpNet,
    },
    /// The block covers addresses that no endpoint can have.
    #[error("{block} cannot be a pool: it overlaps {unusable} ({kind})")]
    Unusable {
        /// What was given.
        block: IpNet,
        /// What it overlaps.
        unusable: &'static str,
        /// What that is for.
        kind: &'static str,
    },
    /// The text is not a pool.
    #[error("a pool is written as base=CIDR,size=LENGTH, for instance base=10.192.0.0/12,size=24")]
    Syntax,
}

impl Pool {
    /// Returns the pool that hands out `block` in subnets of `subnet_len` bits of prefix.
    ///
    /// # Errors
    ///
    /// See [`PoolError`].
    pub fn new(block: IpNet, subnet_len: u8) -> Result<Self, PoolError> {
        if block.trunc() != block {
            return Err(PoolError::HostBits { given: block });
        }
        if let Some((unusable, kind)) = block_in(&block) {
            return Err(PoolError::Unusable {
                block,
                unusable,
                kind,
            });
        }
        if subnet_len < block.prefix_len() || subnet_len > block.max_prefix_len() {
            return Err(PoolError::Size { block, subnet_len });
        }
        Ok(Self { block, subnet_len })
    }

    const fn family(&self) -> Family {
        Family::of_prefix(&self.block)
    }

    /// Returns the first subnet with `subnet_len` bits of prefix that has no address in `taken`, whose
    /// intervals are in order of their first number. Looks at each interval once, whatever the size of
    /// the block.
    fn first_free(&self, subnet_len: u8, taken: &[(u128, u128)]) -> Option<IpNet> {
        if subnet_len < self.block.prefix_len() {
            return None;
        }
        let host_mask = self.family().host_mask(subnet_len);
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
        IpNet::new(self.family().address(candidate), subnet_len).ok()
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in /{}s", self.block, self.subnet_len)
    }
}

impl FromStr for Pool {
    type Err = PoolError;

    fn from_str(text: &str) -> Result<Self, PoolError> {
        let (mut base, mut size) = (None, None);
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("base", value)) if base.is_none() => base = value.parse().ok(),
                Some(("size", value)) if size.is_none() => size = value.parse().ok(),
                Some(_) | None => return Err(PoolError::Syntax),
            }
        }
        match (base, size) {
            (Some(base), Some(size)) => Self::new(base, size),
            (None, _) | (_, None) => Err(PoolError::Syntax),
        }
    }
}

impl TryFrom<Fields> for Pool {
    type Error = PoolError;

    fn try_from(fields: Fields) -> Result<Self, PoolError> {
        Self::new(fields.base, fields.size)
    }
}

impl From<Pool> for Fields {
    fn from(pool: Pool) -> Self {
        Self {
            base: pool.block,
            size: pool.subnet_len,
        }
    }
}

/// A subnet that is wanted, wherever it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubnetSize {
    /// Its family.
    pub family: Family,
    /// The length of its prefix; that of the pool if none.
    pub prefix_len: Option<u8>,
}

impl From<Family> for SubnetSize {
    /// Wants what the first pool of the family gives.
    fn from(family: Family) -> Self {
        Self {
            family,
            prefix_len: None,
        }
    }
}

impl fmt::Display for SubnetSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = self.family;
        match self.prefix_len {
            Some(len) => write!(f, "{family} /{len}"),
            None => write!(f, "{family} subnet"),
        }
    }
}

/// The pools of a host, asked in turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DefaultPools {
    pools: Vec<Pool>,
}

/// No pool has a subnet of the wanted size.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "no {size} is free in the default pools ({pools}): give one by --subnet, or the daemon more pools"
)]
pub struct PoolsExhausted {
    size: SubnetSize,
    pools: DefaultPools,
}

impl Default for DefaultPools {
    /// `10.192.0.0/12` in /24s: 4096 networks, in a block that neither Docker, Kubernetes nor the
    /// common home routers take by default. None for IPv6, of which a subnet is
    /// [generated](crate::ula_prefix).
    fn default() -> Self {
        const BLOCK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 192, 0, 0), 12);
        Self {
            pools: vec![Pool {
                block: IpNet::V4(BLOCK),
                subnet_len: 24,
            }],
        }
    }
}

impl DefaultPools {
    /// Returns the pools, to be asked in this order. A family that none of them is of keeps its
    /// [default](DefaultPools::default).
    pub fn new(mut pools: Vec<Pool>) -> Self {
        if !pools.iter().any(|pool| pool.family() == Family::V4) {
            pools.extend(Self::default().pools);
        }
        Self { pools }
    }

    /// Tells whether there is a pool of `family`.
    pub fn has(&self, family: Family) -> bool {
        self.pools.iter().any(|pool| pool.family() == family)
    }

    /// Returns the first subnet of the first pool that overlaps none of `taken`: the other networks,
    /// and the routes and interfaces of the host. Default routes, and the halves 0.0.0.0/1 and 128.0.0.0/1 that
    /// VPNs put in their place, are ignored.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn choose(
        &self,
        size: impl Into<SubnetSize>,
        taken: impl IntoIterator<Item = IpNet>,
    ) -> Result<IpNet, PoolsExhausted> {
        let size = size.into();
        let mut intervals: Vec<_> = taken
            .into_iter()
            .filter(|prefix| {
                Family::of_prefix(prefix) == size.family && prefix.prefix_len() > DEFAULT_ROUTE_LEN
            })
            .map(|prefix| bounds(&prefix))
            .collect();
        intervals.sort_unstable();
        let mut pools = self.pools.iter();
        let free = pools.find_map(|pool| {
            if pool.family() != size.family {
                return None;
            }
            pool.first_free(size.prefix_len.unwrap_or(pool.subnet_len), &intervals)
        });
        free.ok_or_else(|| PoolsExhausted {
            size,
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

    fn pools(texts: &[&str]) -> DefaultPools {
        DefaultPools::new(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn prefix_in_pool() -> impl Strategy<Value = IpNet> {
        // Between the size of the pool and that of a host route, most inside of the pool.
        (0..0x003f_ffff_u32, 8..=32_u8).prop_map(|(low, len)| {
            let address = Ipv4Addr::from_bits(0x0ac0_0000 ^ low);
            IpNet::V4(Ipv4Net::new(address, len.max(11)).unwrap()).trunc()
        })
    }

    proptest! {
        #[test]
        fn the_choice_is_the_first_subnet_that_a_scan_finds_free(
            taken in prop::collection::vec(prefix_in_pool(), 0..40),
            prefix_len in 12..=26_u8,
        ) {
            let scan = net("10.192.0.0/12")
                .subnets(prefix_len)
                .unwrap()
                .find(|subnet| !taken.iter().any(|other| overlap(subnet, other)));
            let size = SubnetSize { family: Family::V4, prefix_len: Some(prefix_len) };
            prop_assert_eq!(DefaultPools::default().choose(size, taken).ok(), scan);
            if let Some(subnet) = scan {
                prop_assert!(net("10.192.0.0/12").contains(&subnet));
            }
        }
    }

    #[test]
    fn routes_of_the_host_are_avoided_but_not_its_default_route() {
        let taken = [
            net("0.0.0.0/0"),
            // What OpenVPN's `redirect-gateway def1` sets.
            net("0.0.0.0/1"),
            net("128.0.0.0/1"),
            net("10.192.0.128/25"),
            net("10.192.1.0/24"),
            net("fd00::/8"),
        ];
        let chosen = DefaultPools::default().choose(Family::V4, taken);
        assert_eq!(chosen.unwrap(), net("10.192.2.0/24"));
    }

    #[test]
    fn an_exhausted_pool_is_named() {
        let error = DefaultPools::default().choose(Family::V4, [net("10.0.0.0/8")]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "no IPv4 subnet is free in the default pools (10.192.0.0/12 in /24s): give one by --subnet, or the daemon more pools"
        );
    }

    #[test]
    fn pools_of_both_families_are_asked_in_turn_and_for_other_sizes_too() {
        let pools = pools(&[
            "base=172.30.0.0/23,size=24",
            "size=28,base=10.9.0.0/16",
            "base=fd00:1::/48,size=64",
        ]);
        let taken = [net("172.30.0.0/24")];
        let choose = |prefix_len, taken: &[IpNet]| {
            let size = SubnetSize {
                family: Family::V4,
                prefix_len,
            };
            pools.choose(size, taken.iter().copied()).unwrap()
        };
        assert_eq!(choose(None, &taken), net("172.30.1.0/24"));
        assert_eq!(choose(None, &[net("172.30.0.0/16")]), net("10.9.0.0/28"));
        assert_eq!(choose(Some(20), &taken), net("10.9.0.0/20"));
        assert_eq!(choose(Some(25), &taken), net("172.30.1.0/25"));
        let v6 = pools.choose(Family::V6, [net("fd00:1::/64")]).unwrap();
        assert_eq!(v6, net("fd00:1:0:1::/64"));
        let size = SubnetSize {
            family: Family::V4,
            prefix_len: Some(15),
        };
        let error = pools.choose(size, []).unwrap_err().to_string();
        assert!(error.starts_with("no IPv4 /15 is free"), "{error}");
    }

    #[test]
    fn a_family_without_a_pool_keeps_its_default() {
        let only_v6 = pools(&["base=fd00:1::/48,size=64"]);
        let chosen = only_v6.choose(Family::V4, []).unwrap();
        assert_eq!(chosen, net("10.192.0.0/24"));
        assert!(only_v6.has(Family::V6) && !DefaultPools::default().has(Family::V6));
    }

    #[test]
    fn the_end_of_the_address_space_is_not_passed() {
        let v6 = pools(&["base=feff::/16,size=64"]);
        v6.choose(Family::V6, [net("feff::/16")]).unwrap_err();
        let chosen = v6.choose(Family::V6, [net("feff::/64")]).unwrap();
        assert_eq!(chosen, net("feff:0:0:1::/64"));
        let top = Pool {
            block: net("255.255.255.0/24"),
            subnet_len: 25,
        };
        assert_eq!(top.first_free(25, &[bounds(&top.block)]), None);
    }

    #[test]
    fn what_cannot_be_a_pool_is_refused_with_the_reason() {
        let refusal = |text: &str| text.parse::<Pool>().unwrap_err().to_string();
        assert_eq!(
            refusal("base=10.0.0.0/12,size=11"),
            "10.0.0.0/12 cannot be handed out in /11 subnets: give a size from 12 to 32"
        );
        assert!(refusal("base=fd00::/8,size=129").ends_with("from 8 to 128"));
        assert_eq!(
            refusal("base=10.1.2.3/12,size=24"),
            "10.1.2.3/12 has host bits set; the block is 10.0.0.0/12"
        );
        assert_eq!(
            refusal("base=224.0.0.0/8,size=24"),
            "224.0.0.0/8 cannot be a pool: it overlaps 224.0.0.0/4 (multicast)"
        );
        for text in [
            "",
            "10.0.0.0/8",
            "base=10.0.0.0/8",
            "base=x,size=24",
            "base=10.0.0.0/8,size=24,x=1",
        ] {
            assert!(refusal(text).starts_with("a pool is written as"), "{text}");
        }
    }
}
