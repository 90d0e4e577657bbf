//! The prefixes that a TUN gets when none are given, and who has which address of a prefix.
//!
//! # Which
//!
//! IPv4: four addresses at the top of the block that the default pools of networks come from
//! (10.192.0.0/12), because whoever keeps that block free for tapweave need not think of a second one;
//! it is also left alone by a network that comes later, as every route of the host is. Where a host
//! routes all of it elsewhere, the tops of the other private blocks follow (RFC 1918), and then of that
//! for benchmarks (RFC 2544).
//!
//! Not taken: 100.64.0.0/10 (RFC 6598), which carriers and overlay VPNs use, some of which drop what
//! comes from there on other interfaces; 169.254.0.0/16, where clouds keep their metadata services and
//! which routers do not forward (RFC 3927 §7).
//!
//! IPv6: as many addresses of the machine's own unique local block (RFC 4193), made of the machine's
//! id, so that it is the same at the next start and rules of the host stay right.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tapweave_ipam::{DefaultPools, Family, Pool, ula_prefix};

use crate::machine_id::Digest;

/// The addresses of a TUN's prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shares {
    /// The host's, with the prefix length.
    pub(crate) host: IpNet,
    /// Ours, with the prefix length. Not more than [`OWN_MAX`].
    pub(crate) own: Vec<IpNet>,
}

/// Most external addresses of one family: each is 64,512 ports towards each remote port.
const OWN_MAX: usize = 16;

/// Returns a free prefix of 30 bits. `in_use` are the prefixes of the host.
pub(crate) fn free_v4(in_use: &[IpNet]) -> Result<Ipv4Net> {
    let tops = [
        Ipv4Addr::new(10, 207, 255, 0),
        Ipv4Addr::new(172, 31, 255, 0),
        Ipv4Addr::new(192, 168, 255, 0),
        Ipv4Addr::new(198, 19, 255, 0),
    ];
    let pool = |top| {
        let block = IpNet::V4(Ipv4Net::new(top, 24)?);
        Ok(Pool::new(block, 30)?)
    };
    let pools = tops.into_iter().map(pool).collect::<Result<Vec<_>>>()?;
    match DefaultPools::new(pools).choose(Family::V4, in_use.iter().copied()) {
        Ok(IpNet::V4(free)) => Ok(free),
        _ => bail!("the host routes all private IPv4 blocks; name a prefix with --uplink tun:CIDR"),
    }
}

/// Returns a prefix of 126 bits of this machine's block that the host does not use, the highest first;
/// none when it uses many of them.
pub(crate) fn free_v6(machine: &Digest, in_use: &[IpNet]) -> Option<Ipv6Net> {
    let IpNet::V6(block) = ula_prefix(machine.array()) else {
        return None;
    };
    let free = |prefix: &Ipv6Net| {
        let prefix = IpNet::V6(*prefix);
        !in_use.iter().any(|other| {
            other.prefix_len() > 0 && (other.contains(&prefix) || prefix.contains(other))
        })
    };
    let subnet = |number: u16| {
        let bits = block.network().to_bits() | u128::from(number) << 64;
        Ipv6Net::new(bits.into(), 126).ok()
    };
    (0xff00..=u16::MAX).rev().filter_map(subnet).find(free)
}

impl Shares {
    /// Shares a prefix: the first address is the host's, the others are ours.
    pub(crate) fn of(prefix: IpNet) -> Result<Self> {
        let mut hosts = prefix.hosts();
        // `hosts` of IPv6 begins with the address of the prefix itself, which is every router's.
        if prefix.addr().is_ipv6() {
            let _anycast = hosts.next();
        }
        let with_len = |ip| IpNet::new(ip, prefix.prefix_len());
        let host = hosts.next().context("the prefix has no address")?;
        let own = hosts
            .take(OWN_MAX)
            .map(with_len)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            host: with_len(host)?,
            own,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_free_prefix_is_the_first_that_no_route_overlaps() {
        let free = |in_use: &[&str]| free_v4(&nets(in_use)).unwrap().to_string();
        assert_eq!(free(&["0.0.0.0/0"]), "10.207.255.0/30");
        assert_eq!(free(&["10.207.255.0/30"]), "10.207.255.4/30");
        assert_eq!(free(&["10.0.0.0/8"]), "172.31.255.0/30");
        let all = nets(&[
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "198.18.0.0/15",
        ]);
        assert!(
            free_v4(&all)
                .unwrap_err()
                .to_string()
                .contains("--uplink tun:CIDR")
        );
    }

    #[test]
    fn the_ipv6_prefix_is_the_machines_own_and_stays() {
        let machine = Digest::of_this_machine("test").unwrap();
        let first = free_v6(&machine, &[]).unwrap();
        assert_eq!(first.network().octets()[0], 0xfd);
        assert_eq!(first.network().segments()[3..], [0xffff, 0, 0, 0, 0]);
        let next = free_v6(&machine, &[first.into()]).unwrap();
        assert_eq!(next.network().segments()[3], 0xfffe);
        assert_eq!(free_v6(&machine, &nets(&["fd00::/8"])), None);
    }

    #[test]
    fn the_first_address_is_the_hosts_and_the_others_are_ours() {
        let shares = |text: &str| Shares::of(text.parse().unwrap()).unwrap();
        let v4 = shares("192.0.2.0/29");
        assert_eq!(v4.host, "192.0.2.1/29".parse().unwrap());
        assert_eq!(v4.own.len(), 5);
        assert_eq!(v4.own[4], "192.0.2.6/29".parse().unwrap());
        assert_eq!(shares("192.0.2.0/30").own.len(), 1);
        let v6 = shares("2001:db8::/126");
        assert_eq!(v6.host, "2001:db8::1/126".parse().unwrap());
        assert_eq!(v6.own, nets(&["2001:db8::2/126", "2001:db8::3/126"]));
        assert_eq!(shares("2001:db8::/64").own.len(), OWN_MAX);
    }
}
