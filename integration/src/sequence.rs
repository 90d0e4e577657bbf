//! Numbered datagrams and their answers that go on while a test does something else: is their order
//! kept?

use std::net::IpAddr;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::lab::Lab;
use crate::process::Background;
use crate::program::Program;
use crate::sandbox::Sandbox;
use crate::traffic::L4_PORT;

const SEQUENCE: Program = Program {
    name: "sequence",
    text: include_str!("../tools/sequence.py"),
};

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
        let server = SEQUENCE.serve(lab, [from, to], to_ip)?;
        let arguments = format!("send {to_ip} {L4_PORT} {flows}");
        let mut client = SEQUENCE.call(lab, [from, to], &arguments)?;
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
