//! What the operator asks for with `--uplink`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

/// Bytes of the longest interface name (`IFNAMSIZ` less the closing zero).
const IFNAME_LEN_MAX: usize = 15;

/// How the networks are to reach the world.
///
/// Written `auto`, `none`, `tun[:PREFIX[,PREFIX]]` or `nic:IFNAME[:ADDRESS/LEN[@GATEWAY][,…]]`, with at
/// most one prefix or address of each family.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum UplinkChoice {
    /// A TUN interface where the daemon may make one, otherwise none.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// By a TUN interface in the daemon's own network namespace.
    Tun(TunChoice),
    /// By an interface of the host, as a station of its own on the LAN there.
    Nic(NicChoice),
}

/// The prefixes of a TUN: the first address of each is the host's, the others are tapweave's.
///
/// Without any, free ones of both families are taken; with one, there is only its family.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TunChoice {
    /// At most 30 bits long, so that one address is left.
    pub v4: Option<Ipv4Net>,
    /// At most 126 bits long, and at least 64.
    pub v6: Option<Ipv6Net>,
}

/// A place on a LAN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NicChoice {
    /// The interface.
    pub ifname: String,
    /// What to be there; without any, DHCP and router advertisements are asked.
    pub addresses: Vec<NicAddress>,
}

/// An address on a LAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NicAddress {
    /// The address with the length of the LAN's prefix.
    pub address: IpNet,
    /// The router of its family.
    pub gateway: Option<IpAddr>,
}

/// Why a word says no uplink.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum UplinkChoiceError {
    /// Not one of the kinds.
    #[error("should be auto, none, tun[:CIDR[,CIDR]] or nic:IFNAME[:CIDR[@GATEWAY][,…]]")]
    Kind,
    /// Not a prefix.
    #[error("{0} is no prefix such as 192.0.2.0/29 or 2001:db8::/64")]
    Prefix(String),
    /// No room for the host and for us, or more of it than makes sense.
    #[error("{0} cannot be shared with the host: /8 to /30, or /64 to /126, is needed")]
    PrefixLen(IpNet),
    /// Two of one family.
    #[error("{0} is the second of its family")]
    Second(IpNet),
    /// Not an interface name.
    #[error("{0:?} is no interface name: 1 to 15 bytes without spaces and slashes")]
    Ifname(String),
    /// The address of the prefix itself, or another that no station may have.
    #[error("{0} is no address of a station")]
    NoStation(IpNet),
    /// Not an address of the LAN.
    #[error("{gateway} is no router that {address} can reach")]
    Gateway {
        /// The router.
        gateway: String,
        /// The address.
        address: IpNet,
    },
}

impl FromStr for UplinkChoice {
    type Err = UplinkChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("auto", None) => Ok(Self::Auto),
            ("none", None) => Ok(Self::None),
            ("tun", None) => Ok(Self::Tun(TunChoice::default())),
            ("tun", Some(prefixes)) => prefixes.parse().map(Self::Tun),
            ("nic", Some(place)) => place.parse().map(Self::Nic),
            _ => Err(UplinkChoiceError::Kind),
        }
    }
}

impl FromStr for TunChoice {
    type Err = UplinkChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut choice = Self::default();
        for word in text.split(',') {
            let prefix = prefix(word)?.trunc();
            let has_another = match prefix {
                IpNet::V4(net) if (8..=30).contains(&net.prefix_len()) => {
                    choice.v4.replace(net).is_some()
                }
                IpNet::V6(net) if (64..=126).contains(&net.prefix_len()) => {
                    choice.v6.replace(net).is_some()
                }
                IpNet::V4(_) | IpNet::V6(_) => return Err(UplinkChoiceError::PrefixLen(prefix)),
            };
            if has_another {
                return Err(UplinkChoiceError::Second(prefix));
            }
        }
        Ok(choice)
    }
}

impl FromStr for NicChoice {
    type Err = UplinkChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ifname, rest) = match text.split_once(':') {
            Some((ifname, rest)) => (ifname, Some(rest)),
            None => (text, None),
        };
        let is_name = (1..=IFNAME_LEN_MAX).contains(&ifname.len())
            && !ifname.contains(|c: char| c == '/' || c.is_whitespace())
            && ifname != "."
            && ifname != "..";
        if !is_name {
            return Err(UplinkChoiceError::Ifname(ifname.to_owned()));
        }
        let mut addresses: Vec<NicAddress> = Vec::new();
        for word in rest.into_iter().flat_map(|rest| rest.split(',')) {
            let new: NicAddress = word.parse()?;
            let is_v4 = new.address.addr().is_ipv4();
            if addresses
                .iter()
                .any(|other| other.address.addr().is_ipv4() == is_v4)
            {
                return Err(UplinkChoiceError::Second(new.address));
            }
            addresses.push(new);
        }
        Ok(Self {
            ifname: ifname.to_owned(),
            addresses,
        })
    }
}

impl FromStr for NicAddress {
    type Err = UplinkChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, gateway) = match text.split_once('@') {
            Some((address, gateway)) => (address, Some(gateway)),
            None => (text, None),
        };
        let address = prefix(address)?;
        if !is_station(address) {
            return Err(UplinkChoiceError::NoStation(address));
        }
        let gateway = match gateway {
            None => None,
            Some(text) => {
                let router = text.parse::<IpAddr>().ok();
                let router = router.filter(|router| is_neighbor(*router, address));
                Some(router.ok_or_else(|| UplinkChoiceError::Gateway {
                    gateway: text.to_owned(),
                    address,
                })?)
            }
        };
        Ok(Self { address, gateway })
    }
}

fn prefix(text: &str) -> Result<IpNet, UplinkChoiceError> {
    text.parse()
        .map_err(|_not_a_prefix| UplinkChoiceError::Prefix(text.to_owned()))
}

/// Tells whether a station may have this address, that of the prefix itself and the broadcast address
/// being none (RFC 1122 §3.2.1.3) unless the prefix has one or two only (RFC 3021).
fn is_station(address: IpNet) -> bool {
    let ip = address.addr();
    let is_special = ip.is_unspecified() || ip.is_multicast() || ip.is_loopback();
    let is_edge = match address {
        IpNet::V4(net) => {
            net.prefix_len() < 31 && (net.addr() == net.network() || net.addr() == net.broadcast())
        }
        // The subnet-router anycast address (RFC 4291 §2.6.1).
        IpNet::V6(net) => net.prefix_len() < 127 && net.addr() == net.network(),
    };
    !is_special && !is_edge
}

/// Tells whether `router` is on the link of `address`, and another station.
fn is_neighbor(router: IpAddr, address: IpNet) -> bool {
    let on_link = address.contains(&router);
    let is_link_local =
        matches!((router, address), (IpAddr::V6(ip), IpNet::V6(_)) if ip.is_unicast_link_local());
    (on_link || is_link_local) && router != address.addr()
}

impl fmt::Display for UplinkChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::None => f.write_str("none"),
            Self::Tun(choice) => {
                f.write_str("tun")?;
                let prefixes = choice.v4.map(IpNet::V4).into_iter();
                let prefixes = prefixes.chain(choice.v6.map(IpNet::V6));
                for (prefix, separator) in prefixes.zip([':', ',']) {
                    write!(f, "{separator}{prefix}")?;
                }
                Ok(())
            }
            Self::Nic(choice) => {
                write!(f, "nic:{}", choice.ifname)?;
                for (address, separator) in choice.addresses.iter().zip([':', ',']) {
                    write!(f, "{separator}{}", address.address)?;
                    if let Some(gateway) = address.gateway {
                        write!(f, "@{gateway}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_is_written_as_it_was() {
        for text in [
            "auto",
            "none",
            "tun",
            "tun:192.0.2.0/29",
            "tun:192.0.2.0/29,2001:db8::/64",
            "tun:2001:db8::/126",
            "nic:eth0",
            "nic:eth0:192.0.2.5/24",
            "nic:eth0:192.0.2.5/24@192.0.2.1,2001:db8::5/64@fe80::1",
            "nic:enp1s0f1np1:2001:db8::5/64",
        ] {
            let choice: UplinkChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
        }
        let host_part: UplinkChoice = "tun:192.0.2.5/29".parse().unwrap();
        assert_eq!(host_part.to_string(), "tun:192.0.2.0/29");
    }

    #[test]
    fn what_is_no_uplink_is_refused_with_the_reason() {
        for (text, words) in [
            ("", "should be auto"),
            ("auto:1", "should be auto"),
            ("sockets", "should be auto"),
            ("nic", "should be auto"),
            ("tun:", "is no prefix"),
            ("tun:192.0.2.0", "is no prefix"),
            ("tun:192.0.2.0/31", "cannot be shared"),
            ("tun:2001:db8::/63", "cannot be shared"),
            ("tun:192.0.2.0/29,192.0.3.0/29", "second"),
            ("nic:", "interface name"),
            ("nic:interface-of-16-b", "interface name"),
            ("nic:a b", "interface name"),
            ("nic:eth0:", "is no prefix"),
            ("nic:eth0:192.0.2.0/24", "no address of a station"),
            ("nic:eth0:192.0.2.255/24", "no address of a station"),
            ("nic:eth0:2001:db8::/64", "no address of a station"),
            ("nic:eth0:224.0.0.1/24", "no address of a station"),
            ("nic:eth0:192.0.2.5/24@192.0.3.1", "no router"),
            ("nic:eth0:192.0.2.5/24@192.0.2.5", "no router"),
            ("nic:eth0:192.0.2.5/24@fe80::1", "no router"),
            ("nic:eth0:192.0.2.5/24,192.0.2.6/24", "second"),
        ] {
            let error = text.parse::<UplinkChoice>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
