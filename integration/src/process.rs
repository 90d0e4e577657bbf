//! Processes: one that is waited for, and one that runs beside the test.
//!
//! A background process writes its output into a file of the lab's directory, where it is found
//! after a failure, and hands it to the test line by line. It is killed when it is dropped.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Runs `command` with `input` on its stdin and returns what it said.
///
/// # Errors
///
/// When it cannot be started. Its exit status is the caller's business.
pub fn run(command: &mut Command, input: &str) -> Result<Output> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A process that ends without reading tells why by its status.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
    }
    Ok(child.wait_with_output()?)
}

/// Runs `command`, which must succeed, and returns its stdout.
///
/// # Errors
///
/// When it cannot be started or fails; then with all that it said.
pub fn expect_success(command: &mut Command, input: &str) -> Result<String> {
    let output = run(command, input)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(stdout)
}

/// A process that runs beside the test.
#[derive(Debug)]
pub struct Background {
    child: Child,
    name: String,
    lines: Receiver<String>,
}

impl Background {
    /// Starts `command`, both of whose outputs go to the file `log` and to [`Background::line`].
    /// Its stdin stays open as long as the process is not dropped.
    ///
    /// # Errors
    ///
    /// When it cannot be started or the file cannot be made.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut log = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let name = format!("{command:?}");
        let child = command
            .stdin(Stdio::piped())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        // The command holds the writing end as well, and the lines would never end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n') {
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line).into_owned();
                // A test that has ended wants no more lines, and a full disk shows elsewhere.
                if writeln!(log, "{line}").is_err() || sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, name, lines })
    }

    /// Returns the process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the next line that contains `text`; lines before it are passed over.
    ///
    /// # Errors
    ///
    /// When the process ends or [`wait::SOON`] passes without such a line.
    pub fn line(&mut self, text: &str) -> Result<String> {
        self.line_within(text, wait::SOON)
    }

    /// As [`Background::line`] with another time, in which each line has to come.
    ///
    /// # Errors
    ///
    /// As [`Background::line`].
    pub fn line_within(&mut self, text: &str, limit: Duration) -> Result<String> {
        self.find_line(text, limit, |line| line.contains(text))
    }

    /// Waits until it says `ready` and nothing else on a line; a log may have the word among others.
    ///
    /// # Errors
    ///
    /// As [`Background::line`].
    pub fn ready(&mut self) -> Result<()> {
        self.find_line("ready", wait::SOON, |line| line == "ready")
            .map(drop)
    }

    fn find_line(
        &mut self,
        text: &str,
        limit: Duration,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let mut said = String::new();
        loop {
            match self.lines.recv_timeout(limit) {
                Ok(line) if is_meant(&line) => return Ok(line),
                Ok(line) => {
                    said.push_str(&line);
                    said.push('\n');
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{} did not say {text:?}, but:\n{said}", self.name)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{} ended without {text:?}:\n{said}", self.name)
                }
            }
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When the process is gone and was waited for already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("signalling {}", self.name))
    }

    /// Tells whether the process is still there.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until the process has ended and returns its status.
    ///
    /// # Errors
    ///
    /// When it has not ended after `limit`.
    pub fn exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait::until(&what, limit, || Ok(self.child.try_wait()?))
    }

    /// Kills the process and waits for it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Fails only for a process that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
