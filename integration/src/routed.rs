//! Hosts with daemons that route to each other's subnets over an underlay.
//!
//! ```text
//!   sandbox1             sandbox2      10.81.N.2 and fd81:N::2
//!      |                    |
//!   gateway              gateway       10.81.N.1 and fd81:N::1, tapweave's network far
//!      |                    |
//!    eth0                 eth0         192.0.2.N and 2001:db8:9::N of host N
//!       \                  /
//!            underlay
//! ```

use std::net::IpAddr;

use anyhow::Result;

use crate::cli::binary;
use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::sandbox::Sandbox;
use crate::underlay::{Carrier, NETWORK, Underlay};
use crate::wait;
use crate::world::station;

/// How the hosts of a lab route to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tunnel {
    /// `fou`, `gue` or `ipip`.
    pub encap: &'static str,
    /// What carries it.
    pub carrier: Carrier,
}

impl Tunnel {
    /// FOU over IPv4.
    pub const FOU: Self = Self {
        encap: "fou",
        carrier: Carrier::V4,
    };

    /// Returns the MTU that 1,500 bytes of underlay leave.
    pub fn mtu(self) -> u16 {
        let ip_len = match self.carrier {
            Carrier::V4 => 20,
            Carrier::V6 => 40,
        };
        let udp_len = if self.encap == "ipip" { 0 } else { 8 };
        1500 - ip_len - udp_len
    }
}

/// A host with a daemon, and a sandbox in its routed network.
#[derive(Debug)]
pub struct RoutedHost {
    /// The daemon.
    pub daemon: Daemon,
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The host.
    pub host: Sandbox,
    number: u8,
}

impl RoutedHost {
    /// Makes host `number`, which knows `peers` with their subnets.
    ///
    /// # Errors
    ///
    /// When the kernel or tapweave refuses.
    pub fn new(
        lab: &Lab,
        underlay: &Underlay,
        tunnel: Tunnel,
        number: u8,
        peers: &[u8],
    ) -> Result<Self> {
        Self::with_options(lab, underlay, tunnel, number, peers, "")
    }

    /// As [`RoutedHost::new`] with options of the daemon, separated by spaces.
    ///
    /// # Errors
    ///
    /// As [`RoutedHost::new`].
    pub fn with_options(
        lab: &Lab,
        underlay: &Underlay,
        tunnel: Tunnel,
        number: u8,
        peers: &[u8],
        options: &str,
    ) -> Result<Self> {
        let host = underlay.host(lab, number)?;
        let (encap, local) = (tunnel.encap, tunnel.carrier.address(number));
        let daemon = Daemon::under(
            host.command(&binary()?.display().to_string()),
            &format!("--underlay {local} {options}"),
            &lab.file(format!("{number}.sock")),
            &lab.file(format!("daemon{number}.log")),
        )?;
        let cli = daemon.cli();
        cli.ok(&format!(
            "network create {NETWORK} -d overlay --encap {encap} --subnet 10.81.{number}.0/24 \
             --subnet fd81:{number}::/64 --ipv6"
        ))?;
        for peer in peers {
            let address = tunnel.carrier.address(*peer);
            cli.ok(&format!(
                "peer add {NETWORK} {address} --subnet 10.81.{peer}.0/24 --subnet fd81:{peer}::/64"
            ))?;
        }
        let sandbox = station(lab, &format!("sandbox{number}"))?;
        let addresses = format!("--ip 10.81.{number}.2 --ip6 fd81:{number}::2");
        cli.connect(NETWORK, &sandbox, &addresses)?;
        Ok(Self {
            daemon,
            sandbox,
            host,
            number,
        })
    }

    /// Returns the addresses of the sandbox.
    pub fn addresses(&self) -> [IpAddr; 2] {
        self.addresses_with(2)
    }

    /// Returns the addresses of the gateway.
    pub fn gateway(&self) -> [IpAddr; 2] {
        self.addresses_with(1)
    }

    fn addresses_with(&self, last: u8) -> [IpAddr; 2] {
        let number = self.number;
        let v6 = [0xfd81, number.into(), 0, 0, 0, 0, 0, last.into()];
        [[10, 81, number, last].into(), v6.into()]
    }

    /// Waits until the daemon has refused exactly `count` datagrams for `reason`.
    ///
    /// # Errors
    ///
    /// When that does not happen soon.
    pub fn wait_refused(&self, reason: &str, count: u64) -> Result<()> {
        let what = format!("{count} datagrams refused for {reason}");
        wait::until_true(&what, wait::SOON, || {
            let stats = self.daemon.cli().json("stats")?;
            let refused = stats["underlay"]["refused"][reason].as_u64();
            Ok(refused.unwrap_or(0) == count)
        })
    }
}
