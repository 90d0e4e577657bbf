//! Two sandboxes and a transfer between them, which outlive the daemon that they were made with: where tests of restarts
//! begin.

use anyhow::{Result, ensure};

use crate::cli::Cli;
use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::listing::Endpoint;
use crate::sandbox::Sandbox;
use crate::segment::NETWORK;
use crate::steady::Steady;

/// The options of the network.
pub const SUBNET: &str = "--subnet 10.211.0.0/24";

/// Two sandboxes and a transfer between them, whatever becomes of daemons.
#[derive(Debug)]
pub struct Pair {
    /// The command line, which talks to any daemon with the same socket.
    pub cli: Cli,
    /// Who sends.
    pub a: Sandbox,
    /// Who receives.
    pub b: Sandbox,
    /// The interface of `b`.
    pub endpoint: Endpoint,
    /// The transfer.
    pub transfer: Steady,
}

impl Pair {
    /// Makes a network with [`SUBNET`], connects the sandboxes and starts the transfer.
    ///
    /// # Errors
    ///
    /// When one of these fails.
    pub fn new(lab: &Lab, daemon: &Daemon) -> Result<Self> {
        let cli = daemon.cli().clone();
        let ([a, b], endpoint) = connect(lab, &cli, SUBNET, "")?;
        let mut transfer = Steady::start(lab, &a, &b, endpoint.ipv4()?)?;
        transfer.progress()?;
        Ok(Self {
            cli,
            a,
            b,
            endpoint,
            transfer,
        })
    }

    /// Requires that nothing has broken, that requests are served, and that interfaces go with the daemon.
    ///
    /// # Errors
    ///
    /// When one of these is not so.
    pub fn finish(mut self, daemon: Daemon) -> Result<()> {
        self.transfer.progress()?;
        self.transfer.finish()?;
        self.cli
            .ok(&format!("network disconnect {NETWORK} {}", self.a.name()))?;
        ensure!(self.a.ifnames()? == ["lo"]);
        daemon.stop()?;
        ensure!(self.b.ifnames()? == ["lo"]);
        Ok(())
    }
}

/// Makes a network and connects two sandboxes, `a` with options of `network connect`, and `b`. Returns them and the
/// interface of `b`.
///
/// # Errors
///
/// When one of these fails.
pub fn connect(
    lab: &Lab,
    cli: &Cli,
    network_options: &str,
    options_of_a: &str,
) -> Result<([Sandbox; 2], Endpoint)> {
    cli.ok(&format!("network create {NETWORK} {network_options}"))?;
    let (a, b) = (lab.sandbox("a")?, lab.sandbox("b")?);
    cli.connect(NETWORK, &a, options_of_a)?;
    let endpoint = cli.connect(NETWORK, &b, "")?;
    Ok(([a, b], endpoint))
}
