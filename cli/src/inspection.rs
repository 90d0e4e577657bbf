//! Looking at several things at once: what is found is shown, and every failure is told.

use std::error::Error;

use anyhow::anyhow;
use serde::Serialize;

use crate::output::Output;

/// What was found of the things that were named.
#[derive(Debug)]
pub(crate) struct Inspection<T> {
    found: Vec<T>,
    failures: Vec<String>,
}

impl<T> Default for Inspection<T> {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            failures: Vec::new(),
        }
    }
}

impl<T: Serialize> Inspection<T> {
    /// Notes what was found of one.
    pub(crate) fn note<E: Error>(&mut self, outcome: Result<T, E>) {
        match outcome {
            Ok(found) => self.found.push(found),
            Err(error) => self.failures.push(error.to_string()),
        }
    }

    /// Prints what was found, as an array; nothing where nothing was.
    ///
    /// # Errors
    ///
    /// All failures, in one line, or the one of printing.
    pub(crate) fn finish(self, output: &mut Output<'_>) -> anyhow::Result<()> {
        if self.failures.is_empty() {
            return Ok(output.json(&self.found)?);
        }
        if !self.found.is_empty() {
            output.json(&self.found)?;
        }
        Err(anyhow!("{}", self.failures.join("; ")))
    }
}
