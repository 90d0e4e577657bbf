//! tapweave with an uplink, in the host's namespace.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use tapweave_integration::listing::rows;
use tapweave_integration::{Daemon, Lab, Sandbox, cli, wait};

use super::Started;
use crate::datapath::tapweave::{self, NETWORK};
use crate::datapath::{Build, Carried, Switch};

/// A tapweave daemon with one network, and the host that it is in.
#[derive(Debug)]
struct Gateway {
    daemon: Daemon,
    _host: Sandbox,
}

/// Starts a daemon with `uplink` and connects the sandbox. Files of the daemon are named after `name`.
///
/// # Errors
///
/// When the daemon does not start or refuses.
pub(super) fn start(
    lab: &Lab,
    name: &str,
    build: &Build,
    uplink: &str,
    client: &Sandbox,
    host: Sandbox,
) -> Result<Started> {
    let program = build.program.clone().map_or_else(cli::binary, Ok)?;
    let program = program.to_str().context("tapweave's path is no text")?;
    let options = format!("--uplink {uplink} {}", build.options);
    let daemon = Daemon::under(
        host.command(program),
        &options,
        &lab.file(format!("{name}.sock")),
        &lab.file(format!("{name}.log")),
    )?;
    let cli = daemon.cli();
    cli.ok(&format!("network create {NETWORK} --subnet 10.193.2.0/24"))?;
    cli.connect(NETWORK, client, "")?;
    let outside = outside(&daemon)?;
    Ok(Started {
        switch: Box::new(Gateway {
            daemon,
            _host: host,
        }),
        outside,
    })
}

/// The address that the daemon has outside: one on a LAN is asked for before it is taken (RFC 5227).
fn outside(daemon: &Daemon) -> Result<IpAddr> {
    wait::until("an address outside", wait::SOON, || {
        let stats = daemon.cli().json("stats")?;
        let address = rows(&stats["uplink"]["addresses"])?.first();
        let Some(address) = address.and_then(|address| address.as_str()?.split('/').next()) else {
            return Ok(None);
        };
        Ok(Some(address.parse()?))
    })
}

impl Switch for Gateway {
    fn carried(&self, client: &Sandbox) -> Result<Carried> {
        tapweave::carried(&self.daemon, client)
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.daemon.pid()]
    }
}
