//! A host with sandboxes whose way to the [`World`] leads through address translation.
//!
//! The translation is tapweave's or, to compare with, the kernel's ([`masquerade`]); what a test does
//! with a site is the same for both.
//!
//! ```text
//!    a    b  …      each a namespace with eth0, a default route and addresses of 10.211.0.0/24, fd77:1::/64
//!    |    |
//!   gateway         tapweave's network red, or br0: 10.211.0.1, fd77:1::1
//!      |
//!     host  eth0 --- router --- server, client      (world)
//! ```

use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;

use crate::cli::Cli;
use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::listing::rows;
use crate::masquerade;
use crate::sandbox::Sandbox;
use crate::segment::NETWORK;
use crate::traffic;
use crate::wait;
use crate::world::{self, Plan, V4, V6, World};

/// The network's options that give it the addresses of the drawing.
pub const DUAL: &str = "--subnet 10.211.0.0/24 --subnet fd77:1::/64 --ipv6";

/// The daemon's options for an uplink with the addresses of the drawing: the first one of each prefix is
/// the host's.
pub const TUN: &str = "--uplink tun:203.0.113.0/30,2001:db8:113::/126";

/// The daemon's options for an uplink on the host's LAN, with addresses of its own there.
pub const NIC: &str = "--uplink nic:eth0:192.0.2.3/24@192.0.2.1,2001:db8:2::3/64@2001:db8:2::1";

/// Who translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Translator {
    /// A tapweave daemon in the host with the uplink [`TUN`].
    Tapweave,
    /// A tapweave daemon in the host with the uplink [`NIC`].
    TapweaveNic,
    /// The kernel's bridge and nftables.
    Kernel,
}

/// Addresses of a sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inside {
    /// IPv4.
    pub v4: IpAddr,
    /// IPv6.
    pub v6: IpAddr,
}

/// One address family of a site: who is where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View {
    /// The world.
    pub world: Plan,
    /// An address of the translator outside, where ports are published. It may have others, all of
    /// [`Plan::translated`].
    pub outside: IpAddr,
    /// The gateway's address inside.
    pub gateway: IpAddr,
    /// The first sandbox's address.
    pub a: IpAddr,
    /// The second sandbox's address; the first one's where there is only one.
    pub b: IpAddr,
}

/// A host with sandboxes and the world around it.
#[derive(Debug)]
pub struct Site {
    /// The world.
    pub world: World,
    /// The sandboxes, named `a`, `b` and so on.
    pub sandboxes: Vec<Sandbox>,
    /// Their addresses.
    pub addresses: Vec<Inside>,
    gateway: Gateway,
}

#[derive(Debug)]
enum Gateway {
    Tapweave(Daemon),
    Kernel,
}

impl Site {
    /// Makes a world and a host with sandboxes in it. For tapweave, `connect_options` are those of
    /// `network connect` for each of the sandboxes; for the kernel only their number counts.
    ///
    /// # Errors
    ///
    /// When the kernel or tapweave refuses.
    pub fn new(lab: &Lab, translator: Translator, connect_options: &[&str]) -> Result<Self> {
        match translator {
            Translator::Tapweave => Self::tapweave(lab, TUN, DUAL, connect_options),
            Translator::TapweaveNic => Self::tapweave(lab, NIC, DUAL, connect_options),
            Translator::Kernel => Self::kernel(lab, connect_options.len()),
        }
    }

    /// A site of tapweave with options of the daemon, such as [`TUN`], and of the network, and for each of the sandboxes
    /// those of `network connect`.
    ///
    /// # Errors
    ///
    /// As [`Site::new`].
    pub fn tapweave(
        lab: &Lab,
        daemon_options: &str,
        network_options: &str,
        connect_options: &[&str],
    ) -> Result<Self> {
        Self::in_world(
            World::new(lab)?,
            lab,
            daemon_options,
            network_options,
            connect_options,
        )
    }

    /// As [`Site::tapweave`] in a world that is there already.
    ///
    /// # Errors
    ///
    /// As [`Site::new`].
    pub fn in_world(
        world: World,
        lab: &Lab,
        daemon_options: &str,
        network_options: &str,
        connect_options: &[&str],
    ) -> Result<Self> {
        let daemon = lab.daemon_in(&world.host, daemon_options, "daemon")?;
        // An address on a LAN is asked for before it is taken (RFC 5227, RFC 4862).
        wait::until_true("an address of each family outside", wait::SOON, || {
            let stats = daemon.cli().json("stats")?;
            Ok(rows(&stats["uplink"]["addresses"])?.len() >= 2)
        })?;
        daemon
            .cli()
            .ok(&format!("network create {NETWORK} {network_options}"))?;
        let mut site = Self {
            world,
            sandboxes: Vec::new(),
            addresses: Vec::new(),
            gateway: Gateway::Tapweave(daemon),
        };
        for options in connect_options {
            site.add(lab, options)?;
        }
        Ok(site)
    }

    fn kernel(lab: &Lab, count: usize) -> Result<Self> {
        let world = World::new(lab)?;
        masquerade::start(&world)?;
        let mut site = Self {
            world,
            sandboxes: Vec::new(),
            addresses: Vec::new(),
            gateway: Gateway::Kernel,
        };
        for _ in 0..count {
            site.add(lab, "")?;
        }
        Ok(site)
    }

    /// Connects one sandbox more.
    ///
    /// # Errors
    ///
    /// When it cannot be made or connected.
    pub fn add(&mut self, lab: &Lab, connect_options: &str) -> Result<()> {
        let number = u8::try_from(self.sandboxes.len())?;
        let sandbox = world::station(lab, &char::from(b'a' + number).to_string())?;
        let inside = match &self.gateway {
            Gateway::Tapweave(daemon) => {
                let endpoint = daemon.cli().connect(NETWORK, &sandbox, connect_options)?;
                Inside {
                    v4: endpoint.ipv4()?,
                    v6: endpoint.ipv6().unwrap_or(V6.host),
                }
            }
            Gateway::Kernel => {
                let [v4, v6] = masquerade::connect(&self.world, &sandbox, number + 2)?;
                Inside { v4, v6 }
            }
        };
        self.sandboxes.push(sandbox);
        self.addresses.push(inside);
        Ok(())
    }

    /// Publishes a port of the sandbox `index` under the same number, before that sandbox is there or
    /// after it: the kernel's gateway is told now, tapweave was told by `network connect`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn publish_in_kernel(&self, index: usize, protocol: &str, l4_port: u16) -> Result<()> {
        if let Gateway::Kernel = self.gateway {
            let inside = self.inside(index)?;
            for ip in [inside.v4, inside.v6] {
                masquerade::publish(&self.world, protocol, l4_port, ip, l4_port)?;
            }
        }
        Ok(())
    }

    /// Ends the daemon as it should end, and returns the world without it.
    ///
    /// # Errors
    ///
    /// When the kernel translates, or the daemon does not end well.
    pub fn stop(self) -> Result<World> {
        match self.gateway {
            Gateway::Tapweave(daemon) => daemon.stop()?,
            Gateway::Kernel => bail!("the kernel translates at this site"),
        }
        Ok(self.world)
    }

    /// Returns the command line of the daemon.
    ///
    /// # Errors
    ///
    /// When the kernel translates.
    pub fn cli(&self) -> Result<&Cli> {
        Ok(self.daemon()?.cli())
    }

    /// Returns the daemon.
    ///
    /// # Errors
    ///
    /// When the kernel translates.
    pub fn daemon(&self) -> Result<&Daemon> {
        match &self.gateway {
            Gateway::Tapweave(daemon) => Ok(daemon),
            Gateway::Kernel => bail!("the kernel translates at this site"),
        }
    }

    /// Returns who is where, for one family after the other.
    ///
    /// # Errors
    ///
    /// When there is no sandbox.
    pub fn views(&self) -> Result<[View; 2]> {
        let (a, b) = (self.inside(0)?, self.inside(1).or_else(|_| self.inside(0))?);
        let [outside_v4, outside_v6] = self.outside()?;
        // An address on the host's LAN is not of the prefix that is sent to the host.
        let plan = |plan: Plan, outside| Plan {
            translated: if plan.translated.contains(&outside) {
                plan.translated
            } else {
                IpNet::from(outside)
            },
            ..plan
        };
        let v4 = View {
            world: plan(V4, outside_v4),
            outside: outside_v4,
            gateway: "10.211.0.1".parse()?,
            a: a.v4,
            b: b.v4,
        };
        let v6 = View {
            world: plan(V6, outside_v6),
            outside: outside_v6,
            gateway: "fd77:1::1".parse()?,
            a: a.v6,
            b: b.v6,
        };
        Ok([v4, v6])
    }

    /// Waits until every sandbox reaches the server by both families.
    ///
    /// # Errors
    ///
    /// When one does not.
    pub fn settle(&self) -> Result<()> {
        for sandbox in &self.sandboxes {
            for plan in [V4, V6] {
                traffic::ping_soon(sandbox, plan.server)?;
            }
        }
        Ok(())
    }

    fn outside(&self) -> Result<[IpAddr; 2]> {
        let Gateway::Tapweave(daemon) = &self.gateway else {
            return Ok([masquerade::OUTSIDE_V4, masquerade::OUTSIDE_V6]);
        };
        let stats = daemon.cli().json("stats")?;
        let addresses = rows(&stats["uplink"]["addresses"])?.iter();
        let addresses: Vec<IpNet> = addresses
            .map(|address| Ok(address.as_str().context("no text")?.parse()?))
            .collect::<Result<_>>()?;
        let first = |plan: Plan| {
            let mut addresses = addresses.iter().map(IpNet::addr);
            let first = addresses.find(|address| address.is_ipv4() == plan.host.is_ipv4());
            first.with_context(|| format!("no address like {} in {stats}", plan.host))
        };
        Ok([first(V4)?, first(V6)?])
    }

    fn inside(&self, index: usize) -> Result<Inside> {
        let inside = self.addresses.get(index);
        inside
            .copied()
            .with_context(|| format!("there is no sandbox {index}"))
    }
}
