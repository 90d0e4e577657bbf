//! A program that has a TCP port, so that nobody else gets it.

use std::net::SocketAddr;

use anyhow::Result;

use crate::lab::Lab;
use crate::process::Background;
use crate::sandbox::Sandbox;
use crate::traffic::python;

const LISTEN: &str = include_str!("../tools/listen.py");

/// A program that listens for TCP and accepts nothing; it ends when this is dropped.
#[derive(Debug)]
pub struct Listener {
    process: Background,
}

impl Listener {
    /// Starts to listen at an IPv4 address, which the machine need not have.
    ///
    /// # Errors
    ///
    /// When somebody else has the port.
    pub fn start(lab: &Lab, place: &Sandbox, at: SocketAddr) -> Result<Self> {
        let mut command = python(place, LISTEN);
        command.args([at.ip().to_string(), at.port().to_string()]);
        let log = lab.file(format!("listener-{}.log", place.name()));
        let mut process = Background::start(&mut command, &log)?;
        process.line("ready")?;
        Ok(Self { process })
    }

    /// Returns how the daemon names it: the program and its process.
    pub fn description(&self) -> String {
        format!("python3 (pid {})", self.process.pid())
    }
}
