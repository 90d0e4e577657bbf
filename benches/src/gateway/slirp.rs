//! `slirp4netns`: what containers without root use today.
//!
//! It ends every flow on a socket of the host, so the server sees the host's address. Its MTU is the
//! largest that it takes, as its users set it: with 1500 it is several times slower.

use std::process::Command;

use anyhow::Result;
use tapweave_integration::process::Background;
use tapweave_integration::{Lab, Sandbox, wait};

use super::{HOST_IP, Started};
use crate::datapath::{Carried, Switch};

const IFNAME: &str = "eth0";

/// A running `slirp4netns`, and the host whose sockets it uses.
#[derive(Debug)]
struct Slirp {
    process: Background,
    _host: Sandbox,
}

/// Tells whether it (Debian's package of the same name) is installed.
pub(super) fn is_installed() -> bool {
    Command::new("slirp4netns")
        .arg("--version")
        .output()
        .is_ok()
}

/// Gives a sandbox an interface that ends in `slirp4netns`.
///
/// # Errors
///
/// When it does not start.
pub(super) fn start(lab: &Lab, client: &Sandbox, host: Sandbox) -> Result<Started> {
    // It answers pings by sockets that not everybody may open.
    host.set_option("ipv4/ping_group_range", "0 0")?;
    let mut command = host.command("slirp4netns");
    command.args(["--configure", "--mtu=65520", "--netns-type=path"]);
    command.arg(client.path()).arg(IFNAME);
    let process = Background::start(&mut command, &lab.file("slirp4netns.log"))?;
    wait::until_true("the default route of slirp4netns", wait::SOON, || {
        Ok(client.ip("route show default")?.contains("default"))
    })?;
    Ok(Started {
        switch: Box::new(Slirp {
            process,
            _host: host,
        }),
        outside: HOST_IP,
    })
}

impl Switch for Slirp {
    /// It has no counters of its own: the interface counts what it has read and written.
    fn carried(&self, client: &Sandbox) -> Result<Carried> {
        let (down_len, up_len) = client.carried_len(IFNAME)?;
        Ok(Carried { up_len, down_len })
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.process.pid()]
    }
}
