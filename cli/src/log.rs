//! Where log lines go: standard error; how much, by `-v`, `-q` and the daemon's `log`; and in which form:
//! for people, or for the journal.
//!
//! Where standard error leads to the journal, a line has neither time nor colours, which the journal
//! has itself, and begins with its priority (`man 3 sd-daemon`).

use std::env;
use std::fmt;
use std::io;
use std::str::FromStr;

use anstream::{AutoStream, ColorChoice};
use rustix::fs::fstat;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt as lines};

use crate::args::{Command, Global};

mod journal;

/// What is logged: a level, or filters by module as `tracing` reads them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct LogFilter(String);

/// The log of this process.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    filter: Handle<EnvFilter, Registry>,
}

impl Log {
    /// Starts logging for the process.
    pub(crate) fn start(filter: &LogFilter) -> Self {
        let (filter, handle) = reload::Layer::new(filter.filter());
        let registry = tracing_subscriber::registry().with(filter);
        // Fails only when logging has been started before, as tests do.
        let _started = if is_journal(env::var("JOURNAL_STREAM").ok().as_deref()) {
            let layer = lines::layer().event_format(journal::Lines::default());
            registry
                .with(layer.with_ansi(false).with_writer(io::stderr))
                .try_init()
        } else {
            let colour = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
            let layer = lines::layer().with_ansi(colour).with_target(false);
            registry
                .with(layer.with_writer(io::stderr).boxed())
                .try_init()
        };
        Self { filter: handle }
    }

    /// Logs by another filter from now on.
    pub(crate) fn set_filter(&self, filter: &LogFilter) {
        // Fails only when nothing is logged any more.
        let _reloaded = self.filter.reload(filter.filter());
    }
}

impl LogFilter {
    fn filter(&self) -> EnvFilter {
        // It was read once already.
        EnvFilter::builder().parse_lossy(&self.0)
    }

    /// Returns the filter that `-v` and `-q` ask for, if they are given.
    pub(crate) fn of_flags(global: &Global) -> Option<Self> {
        let level = match (global.quiet, global.verbose) {
            (true, _) => "error",
            (false, 0) => return None,
            (false, 1) => "debug",
            (false, _) => "trace",
        };
        Some(Self(level.to_owned()))
    }

    /// Returns the filter of a command that asks a daemon.
    pub(crate) fn of_command(global: &Global) -> Self {
        Self::of_flags(global).unwrap_or_else(|| Self("warn".to_owned()))
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_good = !text.is_empty() && EnvFilter::builder().parse(text).is_ok();
        is_good.then(|| Self(text.to_owned())).ok_or_else(|| {
            format!("{text:?} is no filter such as info or info,tapweave_control=debug")
        })
    }
}

impl TryFrom<String> for LogFilter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<LogFilter> for String {
    fn from(filter: LogFilter) -> Self {
        filter.0
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells whether a command starts the log itself, once it has read its configuration.
pub(crate) const fn starts_late(command: &Command) -> bool {
    matches!(command, Command::Daemon(_))
}

/// Tells whether standard error is the stream `DEVICE:INODE` that leads to the journal (`man 5
/// systemd.exec`): what was redirected since does not.
fn is_journal(stream: Option<&str>) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let (Ok(device), Ok(inode)) = (device.parse::<u64>(), inode.parse::<u64>()) else {
        return false;
    };
    fstat(io::stderr()).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (device, inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_lists_of_modules() {
        for good in ["info", "WARN", "info,tapweave_control=debug", "off"] {
            assert_eq!(good.parse::<LogFilter>().unwrap().to_string(), good);
        }
        for bad in ["", "tapweave=loud", "=="] {
            bad.parse::<LogFilter>().unwrap_err();
        }
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        let stat = fstat(io::stderr()).unwrap();
        let own = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert!(is_journal(Some(&own)));
        let other = format!("{}:{}", stat.st_dev, stat.st_ino.wrapping_add(1));
        for no in [None, Some(other.as_str()), Some(""), Some("1"), Some("a:b")] {
            assert!(!is_journal(no), "{no:?}");
        }
    }
}
