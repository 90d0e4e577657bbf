//! The laboratory of one test: its directory, its names, and what is kept when it fails.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::capture::{Capture, Wanted};
use crate::cli::binary;
use crate::daemon::Daemon;
use crate::mode::Mode;
use crate::sandbox::Sandbox;

/// The laboratory of one test.
#[derive(Debug)]
pub struct Lab {
    mode: Mode,
    dir: Option<TempDir>,
    path: PathBuf,
}

impl Lab {
    /// Runs one test. Its directory, with logs and captures, is kept when it fails, under
    /// `TAPWEAVE_TEST_ARTIFACTS` or the directory for temporary files.
    ///
    /// # Errors
    ///
    /// What the test returns, together with where to look.
    pub fn run(test: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let root = env::var_os("TAPWEAVE_TEST_ARTIFACTS").map_or_else(env::temp_dir, PathBuf::from);
        fs::create_dir_all(&root).with_context(|| format!("creating {}", root.display()))?;
        let name = directory_name(thread::current().name().unwrap_or("test"));
        let dir = TempDir::with_prefix_in(format!("{name}-"), &root)
            .with_context(|| format!("creating a directory in {}", root.display()))?;
        let path = dir.path().to_owned();
        let mut lab = Self {
            mode: Mode::current()?,
            dir: Some(dir),
            path,
        };
        let result = test(&lab);
        if result.is_err() {
            lab.keep();
        }
        result.with_context(|| format!("logs and captures are in {}", lab.path.display()))
    }

    /// Returns with which rights the test runs.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the path of a file of that name in the test's directory.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a sandbox: a named namespace, or a process's where named ones cannot be had.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn sandbox(&self, name: &str) -> Result<Sandbox> {
        match self.mode {
            Mode::Root | Mode::User => Sandbox::named(name, &format!("{name}-{}", process::id())),
            Mode::Outside => self.process_sandbox(name),
        }
    }

    /// Makes a sandbox that is found by the id of a process.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn process_sandbox(&self, name: &str) -> Result<Sandbox> {
        Sandbox::of_process(name, self.mode, &self.file(format!("{name}.holder.log")))
    }

    /// Makes a sandbox in a user namespace of its own, found by the id of a process.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn foreign_sandbox(&self, name: &str) -> Result<Sandbox> {
        Sandbox::of_process(
            name,
            Mode::Outside,
            &self.file(format!("{name}.holder.log")),
        )
    }

    /// Starts a daemon with a socket in the test's directory and waits until it serves.
    ///
    /// # Errors
    ///
    /// When it does not come up.
    pub fn daemon(&self) -> Result<Daemon> {
        Daemon::start(&self.file("daemon.sock"), &self.file("daemon.log"))
    }

    /// As [`Lab::daemon`] with options of `tapweave daemon`, separated by spaces.
    ///
    /// # Errors
    ///
    /// When it does not come up.
    pub fn daemon_with(&self, options: &str) -> Result<Daemon> {
        let (socket, log) = (self.file("daemon.sock"), self.file("daemon.log"));
        Daemon::with_options(options, &socket, &log)
    }

    /// As [`Lab::daemon_with`] in the namespace of a sandbox; the log is called `name`.
    ///
    /// # Errors
    ///
    /// When it does not come up.
    pub fn daemon_in(&self, host: &Sandbox, options: &str, name: &str) -> Result<Daemon> {
        let command = host.command(&binary()?.display().to_string());
        let log = self.file(format!("{name}.log"));
        Daemon::under(command, options, &self.file("daemon.sock"), &log)
    }

    /// Returns the option of a daemon that keeps its state in the test's directory.
    pub fn state_option(&self) -> String {
        format!("--state-dir {}", self.file("state").display())
    }

    /// Starts a daemon that takes over from that of [`Lab::daemon_with`]; its log is called `name`.
    ///
    /// # Errors
    ///
    /// When it does not come up.
    pub fn take_over(&self, options: &str, name: &str) -> Result<Daemon> {
        let options = format!("--takeover {options}");
        let log = self.file(format!("{name}.log"));
        Daemon::with_options(&options, &self.file("daemon.sock"), &log)
    }

    /// Starts to record what comes in at an interface.
    ///
    /// # Errors
    ///
    /// When the recorder does not start.
    pub fn capture(&self, sandbox: &Sandbox, ifname: &str, wanted: Wanted) -> Result<Capture> {
        Capture::start(sandbox, ifname, wanted, &self.path)
    }

    fn keep(&mut self) {
        if let Some(dir) = self.dir.take() {
            self.path = dir.keep();
        }
    }
}

/// Returns the beginning of a test's own name: the path of a socket has 107 bytes at most.
fn directory_name(test: &str) -> String {
    let name = test.rsplit("::").next().unwrap_or(test);
    name.chars().take(24).collect()
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            self.keep();
        }
    }
}
