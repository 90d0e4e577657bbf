//! A running `tapweave daemon`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::cli::{Cli, binary};
use crate::kernel::ProcessStats;
use crate::process::Background;

/// How long a daemon may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running `tapweave daemon`; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    process: Background,
    cli: Cli,
}

impl Daemon {
    /// Starts a daemon and waits for its line `ready`.
    ///
    /// # Errors
    ///
    /// When it does not come up; then with what it said.
    pub fn start(socket: &Path, log: &Path) -> Result<Self> {
        Self::start_with(Command::new(binary()?), socket, log)
    }

    /// As [`Daemon::start`] with options of `tapweave daemon`, separated by spaces.
    ///
    /// # Errors
    ///
    /// As [`Daemon::start`].
    pub fn with_options(options: &str, socket: &Path, log: &Path) -> Result<Self> {
        Self::of_binary(&binary()?, options, socket, log)
    }

    /// As [`Daemon::with_options`] with the program that is named.
    ///
    /// # Errors
    ///
    /// As [`Daemon::start`].
    pub fn of_binary(binary: &Path, options: &str, socket: &Path, log: &Path) -> Result<Self> {
        let cli = Cli::of_binary(binary, socket);
        Self::launch(Command::new(binary), options, cli, log)
    }

    /// Starts a daemon by `command`, to which the arguments of the daemon are added.
    ///
    /// # Errors
    ///
    /// As [`Daemon::start`].
    pub fn start_with(command: Command, socket: &Path, log: &Path) -> Result<Self> {
        Self::launch(command, "", Cli::new(socket)?, log)
    }

    /// As [`Daemon::start_with`] with options of `tapweave daemon`, separated by spaces.
    ///
    /// # Errors
    ///
    /// As [`Daemon::start`].
    pub fn under(command: Command, options: &str, socket: &Path, log: &Path) -> Result<Self> {
        Self::launch(command, options, Cli::new(socket)?, log)
    }

    /// Returns the command line that talks to it.
    pub const fn cli(&self) -> &Cli {
        &self.cli
    }

    /// Returns its socket.
    pub fn socket(&self) -> PathBuf {
        self.cli.socket().to_owned()
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns its memory and processor time.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn stats(&self) -> Result<ProcessStats> {
        ProcessStats::of(self.pid())
    }

    /// Tells whether it is still there.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        self.process.is_running()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Ends it with SIGTERM; its exit status must be 0.
    ///
    /// # Errors
    ///
    /// When it does not end in time or not with 0.
    pub fn stop(self) -> Result<()> {
        self.stop_by(Signal::TERM)
    }

    /// Ends it with a signal; its exit status must be 0.
    ///
    /// # Errors
    ///
    /// When it does not end in time or not with 0.
    pub fn stop_by(mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)?;
        let status = self.process.exit(STOP_LIMIT)?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(())
    }

    /// Waits until it ends by itself; its exit status must be 0.
    ///
    /// # Errors
    ///
    /// When it does not end in time or not with 0.
    pub fn ended(mut self) -> Result<()> {
        let status = self.process.exit(STOP_LIMIT)?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(())
    }

    /// Waits until it says once more that it is ready, as one that has started anew does.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn ready_again(&mut self) -> Result<()> {
        self.process.ready()
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()
    }

    fn launch(mut command: Command, options: &str, cli: Cli, log: &Path) -> Result<Self> {
        command.arg("--socket").arg(cli.socket()).arg("daemon");
        if let Some(backend) = env::var_os("TAPWEAVE_TEST_BACKEND").filter(|it| !it.is_empty())
            && !options.contains("--backend")
        {
            command.arg("--backend").arg(backend);
        }
        if !["--store", "--state-dir"]
            .iter()
            .any(|it| options.contains(it))
        {
            command.args(["--store", "memory:"]);
        }
        command.args(options.split_whitespace());
        let mut process = Background::start(&mut command, log)?;
        process.ready()?;
        Ok(Self { process, cli })
    }
}
