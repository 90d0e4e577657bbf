//! The hosts of the demo: east, where the demo itself is, and west, joined by a cable.
//!
//! Each is a network namespace with a daemon. A daemon for west leaves the namespace that it is started
//! in, lays the cable back to it, and serves; then the demo plugs in its own end.

use std::fmt;
use std::fs::File;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use rustix::process::geteuid;
use serde::Serialize;
use tapweave_control::client::Client;
use tapweave_daemon::{TunChoice, UplinkChoice};
use tapweave_device::{enter_fresh_namespace, lay_cable, plug_in};

use super::daemon::Daemon;
use super::world;

/// What both ends of the cable are called.
const CABLE: &str = "underlay0";

/// One of the hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HostName {
    /// Where the world outside is too.
    East,
    /// Reached over the underlay only.
    West,
}

impl HostName {
    /// Returns its address on the underlay, a documentation address (RFC 5737).
    pub(super) const fn underlay(self) -> Ipv4Addr {
        match self {
            Self::East => Ipv4Addr::new(192, 0, 2, 1),
            Self::West => Ipv4Addr::new(192, 0, 2, 2),
        }
    }

    /// Returns the other host.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::East => Self::West,
            Self::West => Self::East,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::East => "east",
            Self::West => "west",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        let mut both = [Self::East, Self::West].into_iter();
        both.find(|name| name.as_str() == word)
    }

    /// Returns how its sandboxes reach the world.
    pub(super) fn uplink(self) -> UplinkChoice {
        match self {
            Self::East => UplinkChoice::Tun(TunChoice {
                v4: Some(world::PREFIX),
                v6: None,
            }),
            Self::West => UplinkChoice::None,
        }
    }

    /// Has the calling process, which has one thread and was started by the demo, be on the host.
    pub(super) fn enter(self) -> Result<()> {
        if self == Self::West {
            let east = File::open("/proc/self/ns/net").context("cannot see the own namespace")?;
            enter_fresh_namespace().context("cannot make a network namespace for a host")?;
            lay_cable(CABLE, &east).context(
                "cannot join the hosts (as with `ip link add type veth`: is the module there?)",
            )?;
            self.plug_in()?;
        }
        Ok(())
    }

    fn plug_in(self) -> Result<()> {
        let address = Ipv4Net::new_assert(self.underlay(), 24);
        plug_in(CABLE, address.into()).context("cannot configure the underlay's interface")
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A daemon and the way to ask it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) client: Client,
    daemon: Daemon,
}

impl Host {
    fn start(name: HostName) -> Result<Self> {
        let daemon = Daemon::start(name).with_context(|| format!("no host {name}"))?;
        let client = Client::new(daemon.socket(), geteuid().as_raw());
        Ok(Self { client, daemon })
    }

    /// Has another daemon take over, which is asked in the same way. Not for west, which the new one would not find.
    fn replace(&mut self) -> Result<()> {
        self.daemon.replace()
    }

    pub(super) fn stop(self) -> Result<()> {
        self.daemon.stop()
    }
}

/// Both hosts. Dropping them ends them.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) east: Host,
    pub(super) west: Host,
}

impl Hosts {
    /// Starts both and joins them.
    pub(super) fn start() -> Result<Self> {
        let west = Host::start(HostName::West)?;
        HostName::East.plug_in()?;
        let east = Host::start(HostName::East)?;
        Ok(Self { east, west })
    }

    /// Has another daemon take over in east.
    pub(super) fn replace_east(&mut self) -> Result<()> {
        self.east.replace().context("no other daemon in east")
    }

    pub(super) const fn get(&self, name: HostName) -> &Host {
        match name {
            HostName::East => &self.east,
            HostName::West => &self.west,
        }
    }
}
