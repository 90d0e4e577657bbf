//! Open vSwitch without its kernel module: the `netdev` datapath with userspace TSO.
//!
//! A database server and a switch daemon of our own, with everything they write in the directory of the
//! run. A sandbox is connected by a veth pair, as OVS's documentation has it for containers; the
//! switch's end is a packet socket, over which super-frames travel whole.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tapweave_integration::process::{Background, expect_success};
use tapweave_integration::{Lab, Sandbox, wait};

use super::{Carried, Switch};

const BRIDGE: &str = "br0";
const SERVER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 193, 4, 2));

/// The schema of the switch's database, where Debian's package has it.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A running Open vSwitch. The fields are dropped in order: the daemon before its database.
#[derive(Debug)]
pub(super) struct OpenVswitch {
    daemon: Background,
    database: Background,
    dir: PathBuf,
}

impl OpenVswitch {
    /// Tells whether Open vSwitch (Debian's package `openvswitch-switch`) is installed.
    pub(super) fn is_installed() -> bool {
        let mut daemon = Command::new("ovs-vswitchd");
        Path::new(SCHEMA).exists() && daemon.arg("--version").output().is_ok()
    }

    /// Joins two sandboxes; returns the second one's address.
    ///
    /// # Errors
    ///
    /// When one of the programs does not start or refuses.
    pub(super) fn join(lab: &Lab, client: &Sandbox, server: &Sandbox) -> Result<(Self, IpAddr)> {
        let dir = lab.file("ovs");
        std::fs::create_dir(&dir)?;
        let switch = Self::start(lab, dir)?;
        switch.connect("ovs0", client, "10.193.4.1/24")?;
        switch.connect("ovs1", server, &format!("{SERVER_IP}/24"))?;
        Ok((switch, SERVER_IP))
    }

    fn start(lab: &Lab, dir: PathBuf) -> Result<Self> {
        let (file, remote) = (dir.join("conf.db"), remote(&dir));
        let mut create = command(&dir, "ovsdb-tool");
        expect_success(create.arg("create").arg(&file).arg(SCHEMA), "")?;
        let mut database = command(&dir, "ovsdb-server");
        database.arg(file).arg(format!("--remote=p{remote}"));
        database.arg("--unixctl=database.ctl");
        let database = Background::start(&mut database, &lab.file("ovsdb-server.log"))?;
        exists(&dir.join("db.sock"))?;
        vsctl(&dir, "--no-wait init")?;
        vsctl(
            &dir,
            "--no-wait set Open_vSwitch . other_config:userspace-tso-enable=true",
        )?;
        let mut daemon = command(&dir, "ovs-vswitchd");
        daemon.arg(remote).arg("--unixctl=daemon.ctl");
        let mut daemon = Background::start(&mut daemon, &lab.file("ovs-vswitchd.log"))?;
        daemon.line("Segmentation Offloading support enabled")?;
        vsctl(
            &dir,
            &format!("add-br {BRIDGE} -- set bridge {BRIDGE} datapath_type=netdev"),
        )?;
        Ok(Self {
            daemon,
            database,
            dir,
        })
    }

    fn connect(&self, port: &str, sandbox: &Sandbox, address: &str) -> Result<()> {
        let path = sandbox.path();
        ip(&format!(
            "link add {port} type veth peer name eth0 netns {}",
            path.display()
        ))?;
        ip(&format!("link set {port} up"))?;
        sandbox.ip(&format!("address add {address} dev eth0"))?;
        sandbox.ip("link set eth0 up")?;
        vsctl(&self.dir, &format!("add-port {BRIDGE} {port}"))?;
        Ok(())
    }
}

impl Switch for OpenVswitch {
    fn carried(&self, _client: &Sandbox) -> Result<Carried> {
        let bridge = format!("unix:{}", self.dir.join("br0.mgmt").display());
        let mut dump = command(&self.dir, "ovs-ofctl");
        let said = expect_success(dump.args(["dump-ports", &bridge, "ovs0"]), "")?;
        carried(&said).with_context(|| format!("ovs-ofctl said {said}"))
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.daemon.pid(), self.database.pid()]
    }
}

/// Finds the bytes in the lines `  port ovs0: rx pkts=2142, bytes=134161938, drop=0, …` and
/// `           tx pkts=…`.
fn carried(said: &str) -> Option<Carried> {
    let bytes = |packets: &str| {
        let line = said.lines().find(|line| line.contains(packets))?;
        let (_, rest) = line.split_once("bytes=")?;
        rest.split(',').next()?.parse().ok()
    };
    Some(Carried {
        up_len: bytes("rx pkts=")?,
        down_len: bytes("tx pkts=")?,
    })
}

/// A program of OVS that reads and writes nothing of the system's own switch.
fn command(dir: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
        command.env(variable, dir);
    }
    command.current_dir(dir);
    command
}

fn remote(dir: &Path) -> String {
    format!("unix:{}", dir.join("db.sock").display())
}

/// Runs `ovs-vsctl` with arguments that are separated by spaces.
fn vsctl(dir: &Path, arguments: &str) -> Result<String> {
    let mut vsctl = command(dir, "ovs-vsctl");
    vsctl
        .arg(format!("--db={}", remote(dir)))
        .arg("--timeout=10");
    expect_success(vsctl.args(arguments.split_whitespace()), "")
}

fn ip(arguments: &str) -> Result<String> {
    expect_success(Command::new("ip").args(arguments.split_whitespace()), "")
}

fn exists(path: &Path) -> Result<()> {
    wait::until_true(
        &path.display().to_string(),
        wait::SOON,
        || Ok(path.exists()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_both_ways_are_found() {
        let said = "OFPST_PORT reply (xid=0x4): 1 ports\n  \
                    port  ovs0: rx pkts=2142, bytes=134161938, drop=0, errs=0, frame=?, over=?, crc=?\n           \
                    tx pkts=1609, bytes=106571, drop=0, errs=0, coll=?\n";
        let expected = Carried {
            up_len: 134_161_938,
            down_len: 106_571,
        };
        assert_eq!(carried(said), Some(expected));
        assert_eq!(carried("port"), None);
    }
}
