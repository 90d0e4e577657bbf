//! A daemon with one network and some sandboxes in it: where most tests begin.

use std::net::IpAddr;

use anyhow::{Context, Result};

use crate::cli::Cli;
use crate::daemon::Daemon;
use crate::flood::Station;
use crate::lab::Lab;
use crate::listing::Endpoint;
use crate::sandbox::Sandbox;

/// The name of the network.
pub const NETWORK: &str = "red";

/// A daemon with one network and some sandboxes in it, known by their place in the list.
#[derive(Debug)]
pub struct Segment {
    /// The daemon.
    pub daemon: Daemon,
    /// The sandboxes, named `a`, `b`, `c` and so on.
    pub sandboxes: Vec<Sandbox>,
    /// Their interfaces in the network.
    pub endpoints: Vec<Endpoint>,
}

impl Segment {
    /// Starts a daemon, makes the network and connects `count` sandboxes.
    ///
    /// # Errors
    ///
    /// When one of these fails.
    pub fn new(lab: &Lab, network_options: &str, count: usize) -> Result<Self> {
        Self::with(lab, network_options, &vec![""; count])
    }

    /// As [`Segment::new`] with options of `network connect` for each of the sandboxes.
    ///
    /// # Errors
    ///
    /// As [`Segment::new`].
    pub fn with(lab: &Lab, network_options: &str, connect_options: &[&str]) -> Result<Self> {
        Self::on(lab.daemon()?, lab, network_options, connect_options)
    }

    /// As [`Segment::with`] on a daemon that runs already.
    ///
    /// # Errors
    ///
    /// As [`Segment::new`].
    pub fn on(
        daemon: Daemon,
        lab: &Lab,
        network_options: &str,
        connect_options: &[&str],
    ) -> Result<Self> {
        daemon
            .cli()
            .ok(&format!("network create {NETWORK} {network_options}"))?;
        let mut segment = Self {
            daemon,
            sandboxes: Vec::new(),
            endpoints: Vec::new(),
        };
        for options in connect_options {
            segment.add(lab, options)?;
        }
        Ok(segment)
    }

    /// Connects one sandbox more.
    ///
    /// # Errors
    ///
    /// When it cannot be made or connected.
    pub fn add(&mut self, lab: &Lab, connect_options: &str) -> Result<()> {
        let sandbox = lab.sandbox(&name(self.sandboxes.len()))?;
        let endpoint = self.cli().connect(NETWORK, &sandbox, connect_options)?;
        self.sandboxes.push(sandbox);
        self.endpoints.push(endpoint);
        Ok(())
    }

    /// Returns the command line.
    pub const fn cli(&self) -> &Cli {
        self.daemon.cli()
    }

    /// Starts to record the test frames that come in at every interface.
    ///
    /// # Errors
    ///
    /// When a recorder does not start.
    pub fn stations<'s>(&'s self, lab: &Lab) -> Result<Vec<Station<'s>>> {
        let pairs = self.sandboxes.iter().zip(&self.endpoints);
        pairs
            .map(|(sandbox, endpoint)| Station::new(lab, sandbox, &endpoint.ifname, endpoint.mac))
            .collect()
    }

    /// As [`Segment::stations`], but records all frames.
    ///
    /// # Errors
    ///
    /// When a recorder does not start.
    pub fn stations_of_everything<'s>(&'s self, lab: &Lab) -> Result<Vec<Station<'s>>> {
        let pairs = self.sandboxes.iter().zip(&self.endpoints);
        pairs
            .map(|(sandbox, endpoint)| {
                Station::of_everything(lab, sandbox, &endpoint.ifname, endpoint.mac)
            })
            .collect()
    }

    /// Returns the IPv4 address of a sandbox.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn ipv4(&self, index: usize) -> Result<IpAddr> {
        self.endpoint(index)?.ipv4()
    }

    /// Returns the IPv6 address of a sandbox.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn ipv6(&self, index: usize) -> Result<IpAddr> {
        self.endpoint(index)?.ipv6()
    }

    fn endpoint(&self, index: usize) -> Result<&Endpoint> {
        let endpoint = self.endpoints.get(index);
        endpoint.with_context(|| format!("there is no sandbox {index}"))
    }
}

/// `a` to `z`, then `s26` and so on.
fn name(index: usize) -> String {
    u8::try_from(index)
        .ok()
        .filter(|&number| number < 26)
        .map_or_else(
            || format!("s{index}"),
            |number| char::from(b'a' + number).to_string(),
        )
}
