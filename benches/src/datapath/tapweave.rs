//! tapweave, as a user starts it.

use std::net::IpAddr;

use anyhow::{Context, Result};
use tapweave_integration::listing::number;
use tapweave_integration::{Daemon, Lab, Sandbox, cli};

use super::{Build, Carried, Switch};

/// The network of a daemon that is measured.
pub(crate) const NETWORK: &str = "bench";

/// A tapweave daemon with one network.
#[derive(Debug)]
pub(super) struct Tapweave {
    daemon: Daemon,
}

impl Tapweave {
    /// Joins two sandboxes by a daemon; returns the second one's address. Files of the daemon are named
    /// after `name`.
    ///
    /// # Errors
    ///
    /// When the daemon does not start or refuses.
    pub(super) fn join(
        lab: &Lab,
        name: &str,
        build: &Build,
        client: &Sandbox,
        server: &Sandbox,
    ) -> Result<(Self, IpAddr)> {
        let socket = lab.file(format!("{name}.sock"));
        let log = lab.file(format!("{name}.log"));
        let program = build.program.clone().map_or_else(cli::binary, Ok)?;
        let daemon = Daemon::of_binary(&program, &build.options, &socket, &log)?;
        let cli = daemon.cli();
        cli.ok(&format!("network create {NETWORK} --subnet 10.193.2.0/24"))?;
        cli.connect(NETWORK, client, "")?;
        let server_ip = cli.connect(NETWORK, server, "")?.ipv4()?;
        Ok((Self { daemon }, server_ip))
    }

    /// Returns the name of the event loop that moves the frames.
    ///
    /// # Errors
    ///
    /// When the daemon does not answer.
    pub(super) fn backend(&self) -> Result<String> {
        let stats = self.daemon.cli().json("stats")?;
        let backend = stats["workers"][0]["backend"].as_str();
        Ok(backend.context("no backend in `stats`")?.to_owned())
    }
}

impl Switch for Tapweave {
    fn carried(&self, client: &Sandbox) -> Result<Carried> {
        carried(&self.daemon, client)
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.daemon.pid()]
    }
}

/// Returns what the daemon has carried from and to a sandbox.
///
/// # Errors
///
/// When the daemon does not tell.
pub(crate) fn carried(daemon: &Daemon, client: &Sandbox) -> Result<Carried> {
    let port = daemon
        .cli()
        .json(&format!("port show {NETWORK}/{}", client.name()))?;
    Ok(Carried {
        up_len: number(&port["counters"], "rx_bytes")?,
        down_len: number(&port["counters"], "tx_bytes")?,
    })
}
