//! Everything that is printed on standard output.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use thiserror::Error;

use crate::args::Global;
use crate::table::Table;

/// The form that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Text for people.
    Text,
    /// Only ids or names, one a line.
    Quiet,
    /// JSON.
    Json,
}

/// The one writer of a command.
pub(crate) struct Output<'w> {
    writer: &'w mut dyn Write,
    form: Form,
}

/// A writer that remembers whether its reader has gone. The error of a command cannot tell: a daemon that ends while it is
/// asked breaks a pipe too.
#[derive(Debug)]
pub(crate) struct Watched<W> {
    writer: W,
    is_unread: bool,
}

impl<W: Write> Watched<W> {
    pub(crate) const fn new(writer: W) -> Self {
        Self {
            writer,
            is_unread: false,
        }
    }

    /// Tells whether the reader has gone.
    pub(crate) const fn is_unread(&self) -> bool {
        self.is_unread
    }

    fn note<T>(&mut self, written: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &written {
            self.is_unread |= error.kind() == io::ErrorKind::BrokenPipe;
        }
        written
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.writer.flush();
        self.note(flushed)
    }
}

/// The command line contradicts itself in a way that only its values show.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message}; see --help")]
pub(crate) struct UsageError {
    message: String,
}

impl UsageError {
    pub(crate) fn new(message: String) -> Self {
        Self { message }
    }
}

impl<'w> Output<'w> {
    pub(crate) fn new(writer: &'w mut dyn Write, global: &Global) -> Self {
        let form = match (global.json, global.quiet) {
            (true, _) => Form::Json,
            (false, true) => Form::Quiet,
            (false, false) => Form::Text,
        };
        Self { writer, form }
    }

    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    /// Returns the writer, for what is neither a line nor JSON.
    pub(crate) fn writer(&mut self) -> &mut dyn Write {
        self.writer
    }

    pub(crate) fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        writeln!(self.writer, "{text}")
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *self.writer, value)?;
        writeln!(self.writer)
    }

    /// Prints a list in the form that was asked for: `values` as JSON, or a line of `name` for each,
    /// or the table.
    pub(crate) fn list<'v, T: Serialize, N: fmt::Display>(
        &mut self,
        values: &'v [T],
        name: impl Fn(&'v T) -> N,
        table: impl FnOnce(&[T]) -> Table,
    ) -> io::Result<()> {
        match self.form {
            Form::Json => self.json(&values),
            Form::Quiet => values.iter().try_for_each(|value| self.line(name(value))),
            Form::Text => write!(self.writer, "{}", table(values)),
        }
    }

    /// Prints what there is to know of one thing: `value` as JSON, or a line for each of `facts`.
    pub(crate) fn facts<T: Serialize>(
        &mut self,
        value: &T,
        facts: impl FnOnce(&T) -> Vec<String>,
    ) -> io::Result<()> {
        match self.form {
            Form::Json => self.json(value),
            Form::Quiet | Form::Text => facts(value).iter().try_for_each(|line| self.line(line)),
        }
    }

    /// Says to which things something was done: a name a line, or `{"VERB": [NAME, …]}`.
    pub(crate) fn names(&mut self, verb: &str, names: &[&str]) -> io::Result<()> {
        match self.form {
            Form::Json => self.json(&serde_json::json!({ verb: names })),
            Form::Quiet | Form::Text => names.iter().try_for_each(|name| self.line(name)),
        }
    }

    /// Says that something was done to the thing called `name`: its name, or `{"VERB": name}`.
    pub(crate) fn done(&mut self, verb: &str, name: &str) -> io::Result<()> {
        match self.form {
            Form::Json => self.json(&serde_json::json!({ verb: name })),
            Form::Quiet | Form::Text => self.line(name),
        }
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}
