//! A daemon of the demo: it ends when the demo does, however that ends, and leaves nothing.
//!
//! The demo starts this program again with a hidden argument and the name of a host. The new process goes
//! to that host, makes a folder for the socket, serves, prints the socket's path, and stops like any daemon when its stdin ends; then it
//! removes the folder. It is in a process group of its own, because Ctrl-C and the end of a terminal
//! are meant for the demo: here they are seen as the end of stdin too.

use std::env;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Signal, getpid, kill_process};
use tapweave_control::SocketPath;
use tapweave_daemon::{Options, Program, Reloaded, UnderlayChoice, UplinkOptions};

use super::host::HostName;

/// The argument that makes this program a daemon of the demo; the name of a host follows.
const ARGUMENT: &str = "__tapweave-demo-daemon";

/// Longest path of a socket, in bytes (`man 7 unix`: 108 with the byte that ends it).
const MAX_SOCKET_LEN: usize = 107;

/// The daemon, as the demo sees it. Dropping it stops it and waits for its end.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    socket: PathBuf,
}

impl Daemon {
    /// Starts the process on a host and waits until it serves.
    pub(super) fn start(host: HostName) -> Result<Self> {
        let child = Command::new("/proc/self/exe")
            .args([ARGUMENT, host.as_str()])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a daemon")?;
        let mut daemon = Self {
            child,
            socket: PathBuf::new(),
        };
        let mut line = String::new();
        if let Some(stdout) = daemon.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let Some(socket) = line.strip_suffix('\n') else {
            let mut message = String::new();
            if let Some(mut stderr) = daemon.child.stderr.take() {
                stderr.read_to_string(&mut message)?;
            }
            bail!("the daemon did not start: {}", message.trim())
        };
        daemon.socket = socket.into();
        Ok(daemon)
    }

    /// Returns the path of its control socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Stops it, and makes sure that nothing is left.
    pub(super) fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        let folder = self.socket.parent().unwrap_or(&self.socket);
        ensure!(
            !folder.exists(),
            "the daemon left its folder {}",
            folder.display()
        );
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It may have ended by itself; either way it is reaped.
        let _ignored = self.child.wait();
    }
}

/// Acts as a daemon of the demo if this process was started as one, and returns how it went. To be called
/// while the process has one thread.
pub(crate) fn run_daemon_if_requested() -> Option<ExitCode> {
    let argument = env::args_os().nth(1)?;
    let host = env::args_os().nth(2);
    let host = host.and_then(|word| HostName::from_word(word.to_str()?));
    (argument == ARGUMENT).then(|| match run(host) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Fails when the demo is gone, and nobody is left to tell.
            let _printed = writeln!(io::stderr().lock(), "{error:#}");
            ExitCode::FAILURE
        }
    })
}

fn run(host: Option<HostName>) -> Result<()> {
    let host = host.context("no host of the demo is named")?;
    host.enter()?;
    let folder = tempfile::Builder::new()
        .prefix("tapweave-demo-")
        .tempdir_in(short_enough(env::temp_dir()));
    let folder = folder.context("cannot make a folder for the demo")?;
    let socket = folder.path().join("tapweave.sock");
    let options = Options {
        underlay: vec![UnderlayChoice::Address(host.underlay().into())],
        uplink: UplinkOptions {
            choice: host.uplink(),
            ..UplinkOptions::default()
        },
        ..Options::new(SocketPath::Given(socket.clone()))
    };
    tapweave_daemon::run(&options, &mut InDemo { socket })?;
    folder.close().context("cannot remove the demo's folder")
}

/// The program around the daemon, for which there is nothing to configure.
struct InDemo {
    socket: PathBuf,
}

impl Program for InDemo {
    fn ready(&mut self) -> io::Result<()> {
        // From here on the daemon handles the signal.
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(stop_with_stdin)?;
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", self.socket.display())?;
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
