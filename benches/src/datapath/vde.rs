//! `vde_switch` of Virtual Distributed Ethernet: the switch that people without root use today.
//!
//! It has no offloads: each frame of at most MTU size crosses a socket twice on its way.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tapweave_integration::process::Background;
use tapweave_integration::{Lab, Sandbox, wait};

use super::{Carried, Switch};

const SERVER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 193, 3, 2));

/// A running `vde_switch` with a plug in each of two sandboxes. The fields are dropped in order: the
/// plugs before the switch, whose end would make them complain.
#[derive(Debug)]
pub(super) struct VdeSwitch {
    plugs: [Background; 2],
    switch: Background,
    console: PathBuf,
}

impl VdeSwitch {
    /// Tells whether VDE (Debian's package `vde2`) is installed.
    pub(super) fn is_installed() -> bool {
        ["vde_switch", "vde_plug2tap"].into_iter().all(|program| {
            let found = Command::new(program).arg("--version").output();
            found.is_ok()
        })
    }

    /// Joins two sandboxes; returns the second one's address.
    ///
    /// # Errors
    ///
    /// When one of the programs does not start.
    pub(super) fn join(lab: &Lab, client: &Sandbox, server: &Sandbox) -> Result<(Self, IpAddr)> {
        let (sockets, console) = (lab.file("vde"), lab.file("vde.console"));
        let mut command = Command::new("vde_switch");
        command.arg("-s").arg(&sockets).arg("-M").arg(&console);
        let switch = Background::start(&mut command, &lab.file("vde_switch.log"))?;
        wait::until_true("the sockets of vde_switch", wait::SOON, || {
            Ok(console.exists() && sockets.join("ctl").exists())
        })?;
        let plugs = [
            plug(lab, &sockets, client, "10.193.3.1/24")?,
            plug(lab, &sockets, server, &format!("{SERVER_IP}/24"))?,
        ];
        let joined = Self {
            plugs,
            switch,
            console,
        };
        Ok((joined, SERVER_IP))
    }
}

/// Gives a sandbox a TAP that ends in the switch.
fn plug(lab: &Lab, sockets: &Path, sandbox: &Sandbox, address: &str) -> Result<Background> {
    let mut command = sandbox.command("vde_plug2tap");
    command.arg("-s").arg(sockets).arg("eth0");
    let log = lab.file(format!("vde_plug2tap-{}.log", sandbox.name()));
    let plug = Background::start(&mut command, &log)?;
    wait::until_true("the TAP of vde_plug2tap", wait::SOON, || {
        Ok(sandbox.ifnames()?.iter().any(|ifname| ifname == "eth0"))
    })?;
    sandbox.ip(&format!("address add {address} dev eth0"))?;
    sandbox.ip("link set eth0 mtu 1500 up")?;
    Ok(plug)
}

impl Switch for VdeSwitch {
    /// Ports have numbers in the order of plugging, so the client's is the first that is listed.
    fn carried(&self, _client: &Sandbox) -> Result<Carried> {
        let mut console = UnixStream::connect(&self.console)?;
        let lines = BufReader::new(console.try_clone()?).lines();
        console.write_all(b"port/allprint\n")?;
        // " IN:  pkts     262573          bytes            397483416", then the same with "OUT:"
        let mut up_len = None;
        for line in lines {
            let line = line?;
            let Some((_, len)) = line.split_once("bytes") else {
                continue;
            };
            let len = len.trim().parse();
            let len = len.with_context(|| format!("vde_switch said {line:?}"));
            match (line.split_whitespace().next(), up_len) {
                (Some("IN:"), None) => up_len = Some(len?),
                (Some("OUT:"), Some(up_len)) => {
                    let down_len = len?;
                    return Ok(Carried { up_len, down_len });
                }
                _ => {}
            }
        }
        Err(anyhow::anyhow!("vde_switch does not list its ports"))
    }

    fn pids(&self) -> Vec<u32> {
        let plugs = self.plugs.iter().map(Background::pid);
        plugs.chain([self.switch.pid()]).collect()
    }
}
