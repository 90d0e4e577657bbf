//! A TCP connection that is in use for as long as a test wants, while something happens to what is in between.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::lab::Lab;
use crate::process::Background;
use crate::program::{Program, SEED};
use crate::sandbox::Sandbox;
use crate::traffic::L4_PORT;
use crate::wait;

const STEADY: Program = Program {
    name: "steady",
    text: include_str!("../tools/steady.py"),
};

/// A connection over which random bytes go all the time.
#[derive(Debug)]
pub struct Steady {
    server: Background,
    client: Background,
}

impl Steady {
    /// Connects and starts to send.
    ///
    /// # Errors
    ///
    /// When there is no connection.
    pub fn start(lab: &Lab, from: &Sandbox, to: &Sandbox, to_ip: IpAddr) -> Result<Self> {
        Self::through(lab, from, to, to_ip, to_ip)
    }

    /// As [`Steady::start`] for a server at `at` that is called `to_ip` by its client.
    ///
    /// # Errors
    ///
    /// When there is no connection.
    pub fn through(
        lab: &Lab,
        from: &Sandbox,
        to: &Sandbox,
        at: IpAddr,
        to_ip: IpAddr,
    ) -> Result<Self> {
        let server = STEADY.serve(lab, [from, to], at)?;
        let arguments = format!("send {to_ip} {L4_PORT} {SEED}");
        let mut client = STEADY.call(lab, [from, to], &arguments)?;
        client.line("connected")?;
        Ok(Self { server, client })
    }

    /// Waits until something has arrived that was sent after this call.
    ///
    /// # Errors
    ///
    /// When the connection ends or nothing arrives any more.
    pub fn progress(&mut self) -> Result<()> {
        self.client.signal(Signal::USR1)?;
        let sent = number(&self.client.line("sent ")?)?;
        // Retransmissions after a pause are up to a minute apart; none of the pauses here is that long.
        while number(&self.server.line_within("got ", wait::SOON)?)? <= sent {}
        Ok(())
    }

    /// Stops to send and compares length and SHA-256 at both ends.
    ///
    /// # Errors
    ///
    /// When they differ, or the connection does not end in order.
    pub fn finish(mut self) -> Result<()> {
        self.client.signal(Signal::TERM)?;
        let sent = self.client.line("sum ")?;
        let received = self.server.line("sum ")?;
        ensure!(sent == received, "sent {sent}, received {received}");
        Ok(())
    }
}

fn number(line: &str) -> Result<u64> {
    let number = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    number.with_context(|| format!("no number in {line:?}"))
}
