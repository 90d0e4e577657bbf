//! tapweave, as a user starts it.

use std::net::IpAddr;

use anyhow::Result;
use tapweave_integration::listing::number;
use tapweave_integration::{Daemon, Lab, Sandbox};

use super::Switch;

const NETWORK: &str = "bench";

/// A tapweave daemon with one network.
#[derive(Debug)]
pub struct Tapweave {
    daemon: Daemon,
}

impl Tapweave {
    /// Joins two sandboxes; returns the second one's address.
    ///
    /// # Errors
    ///
    /// When the daemon does not start or refuses.
    pub fn join(lab: &Lab, client: &Sandbox, server: &Sandbox) -> Result<(Self, IpAddr)> {
        let daemon = lab.daemon()?;
        let cli = daemon.cli();
        cli.ok(&format!("network create {NETWORK} --subnet 10.193.2.0/24"))?;
        cli.connect(NETWORK, client, "")?;
        let server_ip = cli.connect(NETWORK, server, "")?.ipv4()?;
        Ok((Self { daemon }, server_ip))
    }
}

impl Switch for Tapweave {
    fn received_len(&self, client: &Sandbox) -> Result<u64> {
        let cli = self.daemon.cli();
        let port = cli.json(&format!("port show {NETWORK}/{}", client.name()))?;
        number(&port["counters"], "rx_bytes")
    }
}
