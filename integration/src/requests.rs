//! UDP requests and answers that go on while a test restarts what is in between: how many are lost?

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::lab::Lab;
use crate::process::Background;
use crate::program::Program;
use crate::sandbox::Sandbox;
use crate::traffic::L4_PORT;

const REQUESTS: Program = Program {
    name: "requests",
    text: include_str!("../tools/requests.py"),
};

/// A client that asks all the time, one request after the other, and the server that answers.
#[derive(Debug)]
pub struct Requests {
    _server: Background,
    client: Background,
}

/// What became of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// How many there were.
    pub count: u64,
    /// How many never got an answer.
    pub lost: u64,
}

impl Requests {
    /// Starts a server at `at` and a client that calls it `to_ip`.
    ///
    /// # Errors
    ///
    /// When one of them does not start.
    pub fn through(
        lab: &Lab,
        from: &Sandbox,
        to: &Sandbox,
        at: IpAddr,
        to_ip: IpAddr,
    ) -> Result<Self> {
        let server = REQUESTS.serve(lab, [from, to], at)?;
        let mut client = REQUESTS.call(lab, [from, to], &format!("ask {to_ip} {L4_PORT}"))?;
        client.line("ready")?;
        Ok(Self {
            _server: server,
            client,
        })
    }

    /// Waits until a request was answered that was made after this call.
    ///
    /// # Errors
    ///
    /// When none is answered any more.
    pub fn progress(&mut self) -> Result<()> {
        self.client.signal(Signal::USR1)?;
        self.client.line("answered ").map(drop)
    }

    /// Ends it and tells what became of the requests.
    ///
    /// # Errors
    ///
    /// When an answer came twice.
    pub fn finish(mut self) -> Result<Asked> {
        self.client.signal(Signal::TERM)?;
        let line = self.client.line("sum ")?;
        let numbers = line.split(' ').skip(1).map(str::parse);
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
        let [count, lost, twice] = numbers[..].try_into().ok().context("no three numbers")?;
        ensure!(twice == 0, "{twice} answers came twice");
        Ok(Asked { count, lost })
    }
}
