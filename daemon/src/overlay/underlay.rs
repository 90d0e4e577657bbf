//! Which addresses of this host tunnels come from, and how that is found out.
//!
//! An interface's address may change while the daemon runs, so what was chosen is resolved again whenever the kernel
//! tells of a change, and now and then ([`UnderlayLine`]); the sockets follow.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tapweave_device::interface_addresses;
use tokio::sync::Notify;

use crate::datapath::SwitchDatapath;
use crate::uplink::Line;

/// What `--underlay` names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnderlayChoice {
    /// This address.
    Address(IpAddr),
    /// Whatever addresses this interface has.
    Interface(String),
}

/// Addresses of this host, at most one of each family.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct LocalAddresses {
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) v6: Option<Ipv6Addr>,
}

impl LocalAddresses {
    /// Finds out what `choices` mean now; without any, the addresses with which the host's default routes
    /// are used.
    pub(crate) fn resolve(choices: &[UnderlayChoice]) -> io::Result<Self> {
        let mut local = Self::default();
        if choices.is_empty() {
            local.add(towards(DOCUMENTATION_V4));
            local.add(towards(DOCUMENTATION_V6));
        }
        for choice in choices {
            match choice {
                UnderlayChoice::Address(addr) => local.add(Some(*addr)),
                UnderlayChoice::Interface(name) => {
                    for addr in interface_addresses(name)? {
                        local.add(Some(addr));
                    }
                }
            }
        }
        Ok(local)
    }

    /// Takes an address unless there is one of its family.
    fn add(&mut self, addr: Option<IpAddr>) {
        match addr.map(|addr| addr.to_canonical()) {
            Some(IpAddr::V4(addr)) => {
                self.v4.get_or_insert(addr);
            }
            // A tunnel's end is named by its address alone, and a link-local one needs its link too.
            Some(IpAddr::V6(addr)) if !addr.is_unicast_link_local() => {
                self.v6.get_or_insert(addr);
            }
            Some(IpAddr::V6(_)) | None => {}
        }
    }

    /// Returns the addresses.
    pub(crate) fn iter(self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.map(IpAddr::V4);
        v4.into_iter().chain(self.v6.map(IpAddr::V6))
    }
}

/// How often the underlay's addresses and the paths to peers are looked at, for what the kernel does not tell of by itself,
/// such as what it learned of a path. Some system calls each.
const INTERVAL: Duration = Duration::from_secs(2);

/// The underlay as a line of the host: what listens on it follows its addresses.
#[derive(Debug)]
pub(crate) struct UnderlayLine {
    /// Is told when the addresses change: networks may have waited for them.
    pub(crate) changed: Arc<Notify>,
}

impl Line for UnderlayLine {
    const NAME: &'static str = "underlay";

    fn tend(&mut self, datapath: &SwitchDatapath) -> Option<Duration> {
        if datapath.follow_underlay() {
            self.changed.notify_one();
        }
        Some(INTERVAL)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Leaves the sockets to the networks, with which they go.
    fn close(&mut self, _: &SwitchDatapath) {}
}

/// Addresses that no host has (RFC 5737, RFC 3849), so that only a default route leads there.
const DOCUMENTATION_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
const DOCUMENTATION_V6: SocketAddr = SocketAddr::new(
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    9,
);

/// Returns the address that the kernel would send from; nothing is sent.
fn towards(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

impl FromStr for UnderlayChoice {
    type Err = UnderlayChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Ok(Self::Address(addr));
        }
        let is_name = !text.is_empty()
            && text.len() < 16
            && !text.contains(|c: char| c == '/' || c.is_whitespace());
        if is_name {
            Ok(Self::Interface(text.to_owned()))
        } else {
            Err(UnderlayChoiceError)
        }
    }
}

impl fmt::Display for UnderlayChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(addr) => addr.fmt(f),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

/// A text names neither an address nor an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("should be an IP address or the name of an interface")]
pub struct UnderlayChoiceError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_underlay_is_an_address_or_an_interface() {
        let choice = |text: &str| text.parse::<UnderlayChoice>();
        let addr = "192.0.2.1".parse().unwrap();
        assert_eq!(choice("192.0.2.1"), Ok(UnderlayChoice::Address(addr)));
        let eth0 = UnderlayChoice::Interface("eth0".to_owned());
        assert_eq!(choice("eth0"), Ok(eth0));
        for text in ["", "a/b", "eth 0", "an-interface-too-long"] {
            assert_eq!(choice(text), Err(UnderlayChoiceError), "{text}");
        }
    }

    #[test]
    fn the_first_address_of_each_family_counts() {
        let choices: Vec<_> = ["192.0.2.1", "192.0.2.2", "fe80::1", "2001:db8::1"]
            .map(|text| text.parse().unwrap())
            .into();
        let local = LocalAddresses::resolve(&choices).unwrap();
        let want: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1"]
            .map(|text| text.parse().unwrap())
            .into();
        assert_eq!(local.iter().collect::<Vec<_>>(), want);
        let loopback = UnderlayChoice::Interface("no-such-ifc".to_owned());
        LocalAddresses::resolve(&[loopback]).unwrap_err();
    }
}
