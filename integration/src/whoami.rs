//! A server that tells its clients which address it sees: the proof of a translation.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::process::{Background, expect_success, run};
use crate::sandbox::Sandbox;
use crate::traffic::python;

const WHOAMI: &str = include_str!("../tools/whoami.py");

/// A transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// Returns the name, as tapweave's command line and nftables have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A server that listens on some addresses and ports with TCP and UDP.
#[derive(Debug)]
pub struct Whoami {
    _process: Background,
}

impl Whoami {
    /// Starts the server; `ports` is one port or `FIRST-LAST`.
    ///
    /// # Errors
    ///
    /// When an address or port is not to be had.
    pub fn start(lab: &Lab, place: &Sandbox, ips: &[IpAddr], ports: &str) -> Result<Self> {
        let ips: Vec<String> = ips.iter().map(IpAddr::to_string).collect();
        let mut command = python(place, WHOAMI);
        command.args(["serve", &ips.join(","), ports]);
        let log = lab.file(format!("whoami-{}-{ports}.log", place.name()));
        let mut process = Background::start(&mut command, &log)?;
        process.line("ready")?;
        Ok(Self { _process: process })
    }
}

/// Asks a server, and returns the address and port that it saw. Port 0 for the client is any.
///
/// # Errors
///
/// When no answer comes within 2 s.
pub fn ask(
    from: &Sandbox,
    transport: Transport,
    to: SocketAddr,
    source_port: u16,
) -> Result<SocketAddr> {
    let mut command = question(from, transport, to, source_port, "2");
    let answer = expect_success(&mut command, "")
        .with_context(|| format!("{} asks {to} by {}", from.name(), transport.name()))?;
    let parts = answer.trim().split_once(' ');
    let (ip, port) = parts.with_context(|| format!("the answer was {answer:?}"))?;
    Ok(SocketAddr::new(ip.parse()?, port.parse()?))
}

/// Requires that a server cannot be asked.
///
/// # Errors
///
/// When it answers within a short time.
pub fn no_answer(from: &Sandbox, transport: Transport, to: SocketAddr) -> Result<()> {
    let output = run(&mut question(from, transport, to, 0, "0.3"), "")?;
    ensure!(
        !output.status.success(),
        "{} was answered by {to} over {}",
        from.name(),
        transport.name()
    );
    Ok(())
}

fn question(
    from: &Sandbox,
    transport: Transport,
    to: SocketAddr,
    source_port: u16,
    patience: &str,
) -> std::process::Command {
    let mut command = python(from, WHOAMI);
    command.args(["ask", transport.name()]).args([
        to.ip().to_string(),
        to.port().to_string(),
        source_port.to_string(),
        patience.to_owned(),
    ]);
    command
}
