//! Many connections at once, and many that are never finished.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::lab::Lab;
use crate::process::{Background, expect_success};
use crate::sandbox::Sandbox;
use crate::traffic::python;

const CROWD: &str = include_str!("../tools/crowd.py");
const SYN_FLOOD: &str = include_str!("../tools/syn_flood.py");

/// How long the tool tries at most, and a little.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that echoes on any number of connections.
#[derive(Debug)]
pub struct EchoServer {
    _process: Background,
}

impl EchoServer {
    /// Starts the server.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(lab: &Lab, place: &Sandbox, at: SocketAddr) -> Result<Self> {
        let mut command = python(place, CROWD);
        command.args(["serve", &at.ip().to_string(), &at.port().to_string()]);
        let log = lab.file(format!("echo-{}-{}.log", place.name(), at.port()));
        let mut process = Background::start(&mut command, &log)?;
        process.line("ready")?;
        Ok(Self { _process: process })
    }
}

/// TCP connections that are open at the same time.
#[derive(Debug)]
pub struct Crowd {
    process: Background,
    /// How many could be opened.
    pub count: u32,
}

impl Crowd {
    /// Tries to open `count` connections to an [`EchoServer`].
    ///
    /// # Errors
    ///
    /// When the client's kernel refuses.
    pub fn open(lab: &Lab, client: &Sandbox, to: SocketAddr, count: u32) -> Result<Self> {
        let mut command = python(client, CROWD);
        command.args(["hold", &to.ip().to_string(), &to.port().to_string()]);
        command.arg(count.to_string());
        let log = lab.file(format!("crowd-{}.log", client.name()));
        let mut process = Background::start(&mut command, &log)?;
        let count = number(&process.line_within("open ", PATIENCE)?)?;
        Ok(Self { process, count })
    }

    /// Sends something over every connection and returns how many brought it back.
    ///
    /// # Errors
    ///
    /// When the client has ended.
    pub fn exchange(&mut self) -> Result<u32> {
        self.process.signal(Signal::USR1)?;
        number(&self.process.line_within("alive ", PATIENCE)?)
    }
}

/// Sends `count` SYNs from `client`, which has the address `from`, each of another pair of ports.
///
/// # Errors
///
/// When the kernel refuses.
pub fn syn_flood(client: &Sandbox, from: IpAddr, to: IpAddr, count: u32) -> Result<()> {
    let mut command = python(client, SYN_FLOOD);
    command.args([from.to_string(), to.to_string(), count.to_string()]);
    expect_success(&mut command, "").map(drop)
}

/// `open 10000`
fn number(line: &str) -> Result<u32> {
    let number = line.split_whitespace().nth(1);
    let number = number.and_then(|number| number.parse().ok());
    number.with_context(|| format!("no number in {line:?}"))
}
