//! tinc: an overlay of userspace daemons that switch Ethernet frames (Debian's package `tinc`, 1.0).
//!
//! Every frame is read, sent, received and written by itself. The TAP is made in the namespace of the host,
//! where the daemon's sockets stay, and moved to the station.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use tapweave_integration::process::{Background, expect_success};
use tapweave_integration::underlay::Underlay;
use tapweave_integration::{Lab, Sandbox, world};

use super::{End, SEGMENT};

/// What fits into 1,500 bytes with every cipher.
const MTU: u16 = 1400;

/// Whether payload is encrypted and authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cipher {
    /// Neither.
    Off,
    /// Both, as tinc chooses.
    Default,
}

/// A host with a daemon.
#[derive(Debug)]
pub(super) struct Host {
    daemon: Background,
    /// The namespace goes with its last holder.
    _place: Sandbox,
}

impl Host {
    /// Returns the process of the daemon.
    pub(super) fn pid(&self) -> u32 {
        self.daemon.pid()
    }
}

/// Tells whether tinc is installed.
pub(super) fn is_installed() -> bool {
    Command::new("tincd").arg("--version").output().is_ok()
}

/// Joins two new stations of two new hosts. Files are named after `name`.
pub(super) fn join(
    lab: &Lab,
    underlay: &Underlay,
    name: &str,
    cipher: Cipher,
) -> Result<(End, End)> {
    let (first, second) = (lab.file(format!("{name}-1")), lab.file(format!("{name}-2")));
    configure(&first, 1, "", cipher)?;
    // The other one is there by then.
    configure(&second, 2, "ConnectTo = h1\n", cipher)?;
    for (from, to, file) in [(&first, &second, "hosts/h1"), (&second, &first, "hosts/h2")] {
        fs::copy(from.join(file), to.join(file))?;
    }
    Ok((
        start(lab, underlay, name, &first, 1)?,
        start(lab, underlay, name, &second, 2)?,
    ))
}

/// Writes the configuration of a host and makes its keys.
fn configure(dir: &Path, number: u8, connect: &str, cipher: Cipher) -> Result<()> {
    fs::create_dir_all(dir.join("hosts"))?;
    let daemon = format!(
        "Name = h{number}\n{connect}AddressFamily = ipv4\nMode = switch\n\
         DeviceType = tap\nInterface = tap0\n"
    );
    fs::write(dir.join("tinc.conf"), daemon)?;
    let cipher = match cipher {
        Cipher::Off => "Cipher = none\nDigest = none\n",
        Cipher::Default => "",
    };
    let vtep = SEGMENT.vtep(number);
    let host = format!("Address = {vtep}\n{cipher}Compression = 0\n");
    fs::write(dir.join(format!("hosts/h{number}")), host)?;
    let mut keys = Command::new("tincd");
    // Short keys are made at once; nothing is secret here.
    expect_success(keys.arg("-c").arg(dir).arg("-K1024"), "")?;
    Ok(())
}

/// Starts a host and its station.
fn start(lab: &Lab, underlay: &Underlay, name: &str, dir: &Path, number: u8) -> Result<End> {
    let place = underlay.host(lab, number)?;
    let mut command = place.command("tincd");
    command.arg("-c").arg(dir).arg("-D");
    command.arg("--pidfile").arg(dir.join("pid"));
    let log = lab.file(format!("{name}-{number}.log"));
    let mut daemon = Background::start(&mut command, &log)?;
    daemon.line("Ready").context("tincd does not start")?;
    let station = world::station(lab, &format!("{name}-station{number}"))?;
    let path = station.path();
    place.ip(&format!("link set tap0 netns {} name eth0", path.display()))?;
    station.ip(&format!("link set eth0 mtu {MTU} up"))?;
    world::address(&station, "eth0", &format!("10.77.0.{number}/24"))?;
    Ok(End {
        host: super::Host::Tinc(Host {
            daemon,
            _place: place,
        }),
        station,
        ip: [10, 77, 0, number].into(),
    })
}
