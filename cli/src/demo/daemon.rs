//! A daemon of the demo: it ends when the demo does, however that ends, and leaves nothing.
//!
//! The demo starts this program again with a hidden argument, the name of a host and a folder. The new process goes
//! to that host, keeps socket and state in the folder, serves, says so, and stops like any daemon when its stdin ends; then it
//! removes the folder. It is in a process group of its own, because Ctrl-C and the end of a terminal
//! are meant for the demo: here they are seen as the end of stdin too.
//!
//! A daemon that was taken over from leaves the folder to its successor, whose socket is in it.

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::mem;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Signal, getpid, kill_process};
use tapweave_control::SocketPath;
use tapweave_daemon::{Options, Program, Reloaded, Start, State, UnderlayChoice, UplinkOptions};
use tempfile::TempDir;

use super::host::HostName;

/// The argument that makes this program a daemon of the demo; the name of a host follows.
const ARGUMENT: &str = "__tapweave-demo-daemon";

/// Longest path of a socket, in bytes (`man 7 unix`: 108 with the byte that ends it).
const MAX_SOCKET_LEN: usize = 107;

/// What follows the folder of a daemon that takes over from the one that has it.
const TAKE_OVER: &str = "takeover";

/// What it says when it serves.
const READY: &str = "ready\n";

/// The daemon, as the demo sees it. Dropping it stops it and waits for its end.
#[derive(Debug)]
pub(super) struct Daemon {
    process: Process,
    host: HostName,
    /// What the daemon has not removed goes with the demo.
    folder: TempDir,
}

/// Its process, which ends when this is dropped.
#[derive(Debug)]
struct Process(Child);

impl Daemon {
    /// Starts the process on a host and waits until it serves.
    pub(super) fn start(host: HostName) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("tapweave-demo-")
            .tempdir_in(short_enough(env::temp_dir()));
        let folder = folder.context("cannot make a folder for the demo")?;
        Ok(Self {
            process: Process::start(host, folder.path(), &[])?,
            host,
            folder,
        })
    }

    /// Has another process take over, and waits until this one has ended.
    pub(super) fn replace(&mut self) -> Result<()> {
        let next = Process::start(self.host, self.folder.path(), &[TAKE_OVER])?;
        let mut process = mem::replace(&mut self.process, next);
        let status = process.0.wait()?;
        ensure!(
            status.success(),
            "the daemon that was taken over from ended with {status}"
        );
        Ok(())
    }

    /// Returns the path of its control socket.
    pub(super) fn socket(&self) -> PathBuf {
        socket_in(self.folder.path())
    }

    /// Stops it, and makes sure that nothing is left.
    pub(super) fn stop(self) -> Result<()> {
        let Self {
            mut process,
            folder,
            ..
        } = self;
        drop(process.0.stdin.take());
        let status = process.0.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        ensure!(
            !folder.path().exists(),
            "the daemon left its folder {}",
            folder.path().display()
        );
        Ok(())
    }
}

impl Process {
    fn start(host: HostName, folder: &Path, options: &[&str]) -> Result<Self> {
        let child = Command::new("/proc/self/exe")
            .args([ARGUMENT, host.as_str()])
            .arg(folder)
            .args(options)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a daemon")?;
        let mut process = Self(child);
        let mut line = String::new();
        if let Some(stdout) = process.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line != READY {
            let mut message = String::new();
            if let Some(mut stderr) = process.0.stderr.take() {
                stderr.read_to_string(&mut message)?;
            }
            bail!("the daemon did not start: {}", message.trim())
        }
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It may have ended by itself; either way it is reaped.
        let _ignored = self.0.wait();
    }
}

/// Acts as a daemon of the demo if this process was started as one, and returns how it went. To be called
/// while the process has one thread.
pub(crate) fn run_daemon_if_requested() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let host = arguments.next();
    let host = host.and_then(|word| HostName::from_word(word.to_str()?));
    let folder = arguments.next().map(PathBuf::from);
    let start = match arguments.next() {
        Some(word) if word == TAKE_OVER => Start::TakeOver,
        _ => Start::Alone,
    };
    Some(match run(host, folder, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Fails when the demo is gone, and nobody is left to tell.
            let _printed = writeln!(io::stderr().lock(), "{error:#}");
            ExitCode::FAILURE
        }
    })
}

fn run(host: Option<HostName>, folder: Option<PathBuf>, start: Start) -> Result<()> {
    let host = host.context("no host of the demo is named")?;
    let folder = folder.context("no folder of the demo is named")?;
    host.enter()?;
    let socket = socket_in(&folder);
    let options = Options {
        underlay: vec![UnderlayChoice::Address(host.underlay().into())],
        uplink: UplinkOptions {
            choice: host.uplink(),
            ..UplinkOptions::default()
        },
        state: State::Directory(folder.join("state")),
        start,
        ..Options::new(SocketPath::Given(socket.clone()))
    };
    tapweave_daemon::run(&options, &mut InDemo)?;
    // Of two that end at the same time each may find that the other was first.
    let is_taken_over = socket.exists();
    if !is_taken_over
        && let Err(error) = fs::remove_dir_all(&folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error).context("cannot remove the demo's folder");
    }
    Ok(())
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("tapweave.sock")
}

/// The program around the daemon, for which there is nothing to configure.
struct InDemo;

impl Program for InDemo {
    fn ready(&mut self) -> io::Result<()> {
        // From here on the daemon handles the signal.
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(stop_with_stdin)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(READY.as_bytes())?;
        stdout.flush()
    }

    fn reload(&mut self) -> Result<Reloaded> {
        bail!("the demo's daemon has no configuration")
    }
}

/// Returns `dir`, or `/tmp` if the path of a socket in it would be too long for the kernel.
fn short_enough(dir: PathBuf) -> PathBuf {
    const IN_DIR: usize = "/tapweave-demo-123456/tapweave.sock".len();
    if dir.as_os_str().len() + IN_DIR <= MAX_SOCKET_LEN {
        dir
    } else {
        PathBuf::from("/tmp")
    }
}

/// Waits for the end of stdin, to which nobody writes, and tells the daemon of this process to stop.
fn stop_with_stdin() {
    // Whatever goes wrong here: there is no demo to serve any more.
    let _ended = io::copy(&mut io::stdin(), &mut io::sink());
    let _stopped = kill_process(getpid(), Signal::TERM);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_a_path_that_the_kernel_takes() {
        for (len, is_kept) in [(4, true), (72, true), (73, false), (500, false)] {
            let dir = PathBuf::from(format!("/{}", "d".repeat(len - 1)));
            let chosen = short_enough(dir.clone());
            assert_eq!(chosen == dir, is_kept, "{len}");
        }
    }
}
