//! The programs of `tools/` that have two ends: a server in one sandbox, and a client in another one.

use std::net::IpAddr;
use std::process::Command;

use anyhow::Result;

use crate::lab::Lab;
use crate::process::Background;
use crate::sandbox::Sandbox;
use crate::traffic::{L4_PORT, python};

/// What makes the same bytes in every run of a test.
pub(crate) const SEED: &str = "20250921";

/// A program with two ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    /// What its logs are called by.
    pub(crate) name: &'static str,
    /// The text.
    pub(crate) text: &'static str,
}

impl Program {
    /// Starts the server for those who call from `from`, in `to` and at `at`, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) fn serve(
        self,
        lab: &Lab,
        [from, to]: [&Sandbox; 2],
        at: IpAddr,
    ) -> Result<Background> {
        let mut command = python(to, self.text);
        command.args(["serve", &at.to_string(), L4_PORT]);
        let log = format!("{}-{}-{}.server.log", self.name, from.name(), to.name());
        let mut server = Background::start(&mut command, &lab.file(log))?;
        server.line("ready")?;
        Ok(server)
    }

    /// Starts the client beside the test, with arguments that are separated by spaces.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) fn call(
        self,
        lab: &Lab,
        [from, to]: [&Sandbox; 2],
        arguments: &str,
    ) -> Result<Background> {
        let log = format!("{}-{}-{}.client.log", self.name, from.name(), to.name());
        Background::start(&mut self.client(from, arguments), &lab.file(log))
    }

    /// Returns the command of the client, for who waits for its end.
    pub(crate) fn client(self, from: &Sandbox, arguments: &str) -> Command {
        let mut command = python(from, self.text);
        command.args(arguments.split_whitespace());
        command
    }
}
