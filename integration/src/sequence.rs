//! Numbered datagrams and their answers that go on while a test does something else: is their order
//! kept?

use std::net::IpAddr;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::lab::Lab;
use crate::process::Background;
use crate::sandbox::Sandbox;
use crate::traffic::{L4_PORT, python};

const SEQUENCE: &str = include_str!("../tools/sequence.py");

/// Numbered UDP datagrams on their way, each of them answered, in several flows.
#[derive(Debug)]
pub struct Sequence {
    server: Background,
    client: Background,
}

/// What became of the datagrams of a [`Sequence`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Datagrams that were sent.
    pub sent: u64,
    /// Datagrams that arrived.
    pub received: u64,
    /// Datagrams that arrived behind a later one of their flow, or twice.
    pub late: u64,
    /// Flows of which something arrived.
    pub flows: u64,
    /// Answers that came back.
    pub answered: u64,
    /// Answers that came back behind a later one of their flow, or twice.
    pub answered_late: u64,
}

impl Sequence {
    /// Starts to send in `flows` flows, which differ in the source port.
    ///
    /// # Errors
    ///
    /// When server or client does not start.
    pub fn start(
        lab: &Lab,
        from: &Sandbox,
        to: &Sandbox,
        to_ip: IpAddr,
        flows: u64,
    ) -> Result<Self> {
        let stem = format!("sequence-{}-{}", from.name(), to.name());
        let mut server = python(to, SEQUENCE);
        server.args(["serve", &to_ip.to_string(), L4_PORT]);
        let mut server = Background::start(&mut server, &lab.file(format!("{stem}.server.log")))?;
        server.line("ready")?;
        let mut client = python(from, SEQUENCE);
        client.args(["send", &to_ip.to_string(), L4_PORT, &flows.to_string()]);
        let mut client = Background::start(&mut client, &lab.file(format!("{stem}.client.log")))?;
        client.line("ready")?;
        Ok(Self { server, client })
    }

    /// Ends it and tells what became of the datagrams.
    ///
    /// # Errors
    ///
    /// When an end does not come.
    pub fn finish(mut self) -> Result<Outcome> {
        let [sent, answered, answered_late] = numbers(&mut self.client)?;
        let [received, late, flows] = numbers(&mut self.server)?;
        Ok(Outcome {
            sent,
            received,
            late,
            flows,
            answered,
            answered_late,
        })
    }
}

/// Ends a program and returns the numbers that it prints then.
fn numbers<const COUNT: usize>(program: &mut Background) -> Result<[u64; COUNT]> {
    program.signal(Signal::INT)?;
    let line = program.line("sum ")?;
    let numbers: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let numbers = numbers.try_into().ok();
    numbers.with_context(|| format!("{line:?} does not have {COUNT} numbers"))
}
