//! Where log lines go: standard error, from a level on that depends on the command and on `-v`/`-q`.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::LevelFilter;

use crate::args::{Command, Global};

/// Starts logging for the process.
pub(crate) fn start(global: &Global, command: &Command) {
    let level = level(global, command);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(level >= LevelFilter::DEBUG)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // Fails only when logging has been started before.
    let _started = subscriber.try_init();
}

fn level(global: &Global, command: &Command) -> LevelFilter {
    let serves = matches!(command, Command::Daemon(_));
    match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) if serves => LevelFilter::INFO,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    }
}
