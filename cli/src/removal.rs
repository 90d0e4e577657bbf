//! Removing several things at once: what can be removed is, and every failure is told.

use std::error::Error;

use anyhow::anyhow;

use crate::output::Output;

/// What happened to the things that were named.
#[derive(Debug, Default)]
pub(crate) struct Removal<'n> {
    removed: Vec<&'n str>,
    failures: Vec<String>,
}

impl<'n> Removal<'n> {
    /// Notes whether `name` was removed.
    pub(crate) fn note<E: Error>(&mut self, name: &'n str, outcome: Result<(), E>) {
        match outcome {
            Ok(()) => self.removed.push(name),
            Err(error) => self.failures.push(error.to_string()),
        }
    }

    /// Prints what was removed.
    ///
    /// # Errors
    ///
    /// All failures, in one line, or the one of printing.
    pub(crate) fn finish(self, output: &mut Output<'_>) -> anyhow::Result<()> {
        output.names("removed", &self.removed)?;
        if self.failures.is_empty() {
            return Ok(());
        }
        Err(anyhow!("{}", self.failures.join("; ")))
    }
}
