//! The gateways that are compared: each takes a sandbox to a server outside, under an address that is
//! not the sandbox's own.
//!
//! ```text
//!   client --- gateway in the host --- eth0 198.51.100.1/24 --- server 198.51.100.10
//! ```
//!
//! The sandbox's MTU is 1500, or what the gateway itself prefers.

mod kernel;
mod slirp;
mod tapweave;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use tapweave_integration::whoami::{self, Transport, Whoami};
use tapweave_integration::{Lab, Sandbox, traffic, world};

use crate::datapath::{Build, Joined, Switch};

/// Address of every server.
const SERVER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10));

/// The host's own address, which the server sees where the gateway has none.
const HOST_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// The uplinks of tapweave. A TUN's first address is the host's, the other one tapweave's.
const TUN: &str = "tun:203.0.113.0/30";
const NIC: &str = "nic:eth0:198.51.100.2/24";

/// Where [`Whoami`] listens.
const WHOAMI_L4_PORT: u16 = 7000;

/// A gateway that can be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Kind {
    /// veth, the kernel's routing and nftables masquerade, which everything is measured against
    KernelMasquerade,
    /// A tapweave daemon with `--uplink tun`
    TapweaveTun,
    /// A tapweave daemon with `--uplink nic`, a station of its own on the host's LAN
    TapweaveNic,
    /// Another build of tapweave, or one with other options, with `--uplink tun`: `--tapweave`, `--options`
    OtherTun,
    /// The same with `--uplink nic`
    OtherNic,
    /// `slirp4netns` with the MTU 65520
    Slirp4netns,
}

/// A gateway between a sandbox and a host.
#[derive(Debug)]
struct Started {
    switch: Box<dyn Switch>,
    /// The address that the server must see.
    outside: IpAddr,
}

impl Kind {
    /// Joins a new sandbox to a new server; returns nothing where the gateway is not
    /// installed. `other` is what [`Kind::OtherTun`] and [`Kind::OtherNic`] stand for.
    ///
    /// # Errors
    ///
    /// When the gateway is installed and does not work, or the server sees another address.
    pub fn join(self, lab: &Lab, other: &Build) -> Result<Option<Joined>> {
        if self == Self::Slirp4netns && !slirp::is_installed() {
            return Ok(None);
        }
        let name = self.name();
        let place = |end: &str| lab.sandbox(&format!("{name}-{end}"));
        let (client, host, server) = (place("a")?, place("host")?, place("b")?);
        world::join(&host, world::UPLINK, &format!("{HOST_IP}/24"), &server)?;
        world::address(&server, world::UPLINK, &format!("{SERVER_IP}/24"))?;
        server.ip(&format!("route add 203.0.113.0/30 via {HOST_IP}"))?;
        host.set_option("ipv4/ip_forward", "1")?;
        let default = Build::default();
        let tapweave =
            |build, uplink, host| tapweave::start(lab, name, build, uplink, &client, host);
        let started: Started = match self {
            Self::KernelMasquerade => kernel::start(&client, host)?,
            Self::TapweaveTun => tapweave(&default, TUN, host)?,
            Self::TapweaveNic => tapweave(&default, NIC, host)?,
            Self::OtherTun => tapweave(other, TUN, host)?,
            Self::OtherNic => tapweave(other, NIC, host)?,
            Self::Slirp4netns => slirp::start(lab, &client, host)?,
        };
        prove_translation(lab, &client, &server, started.outside)?;
        Ok(Some(Joined {
            name: name.to_owned(),
            client,
            server,
            server_ip: SERVER_IP,
            switch: started.switch,
        }))
    }

    /// Tells whether it is another build of tapweave, which is only there if it is named.
    pub const fn is_other(self) -> bool {
        matches!(self, Self::OtherTun | Self::OtherNic)
    }

    /// Returns the name of the gateway.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KernelMasquerade => "kernel-masquerade",
            Self::TapweaveTun => "tapweave-tun",
            Self::TapweaveNic => "tapweave-nic",
            Self::OtherTun => "other-tun",
            Self::OtherNic => "other-nic",
            Self::Slirp4netns => "slirp4netns",
        }
    }
}

/// Requires that the server sees a client under the gateway's address.
fn prove_translation(lab: &Lab, client: &Sandbox, server: &Sandbox, outside: IpAddr) -> Result<()> {
    traffic::ping_soon(client, SERVER_IP)?;
    let port = WHOAMI_L4_PORT.to_string();
    let _whoami = Whoami::start(lab, server, &[SERVER_IP], &port)?;
    for transport in Transport::ALL {
        let seen = whoami::ask(
            client,
            transport,
            SocketAddr::new(SERVER_IP, WHOAMI_L4_PORT),
            0,
        )?;
        ensure!(
            seen.ip() == outside,
            "the server saw {seen} and not {outside} over {}",
            transport.name()
        );
    }
    Ok(())
}
