//! The command line of tapweave, driven as a user would.
//!
//! Arguments are one string, separated by spaces. What is asserted of every call is asserted here:
//! the exit status (0 done, 1 refused, 2 wrong usage) and the one line on stderr of a refusal.

use std::env;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use serde_json::Value;
use tapweave_net::MacAddr;

use crate::listing::{self, Counters, Endpoint, FdbRow};
use crate::process::run;
use crate::sandbox::Sandbox;

/// The command line, bound to the socket of one daemon.
#[derive(Clone, Debug)]
pub struct Cli {
    binary: PathBuf,
    socket: PathBuf,
}

/// Returns the `tapweave` binary that is tested: `TAPWEAVE_BIN`, else the one that was built beside
/// the tests.
///
/// # Errors
///
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("TAPWEAVE_BIN") {
        return Ok(path.into());
    }
    // The test is target/PROFILE/deps/NAME.
    let test = env::current_exe()?;
    let beside = test.ancestors().nth(2).map(|dir| dir.join("tapweave"));
    beside
        .filter(|path| path.is_file())
        .context("no tapweave binary: set TAPWEAVE_BIN or build the workspace")
}

impl Cli {
    /// Returns the command line that talks to the daemon behind `socket`.
    ///
    /// # Errors
    ///
    /// When there is no binary.
    pub fn new(socket: &Path) -> Result<Self> {
        Ok(Self::of_binary(&binary()?, socket))
    }

    /// As [`Cli::new`] with the program that is named.
    pub fn of_binary(binary: &Path, socket: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            socket: socket.to_owned(),
        }
    }

    /// Returns the path of the daemon's socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs a command that must succeed and returns its stdout.
    ///
    /// # Errors
    ///
    /// When the exit status is not 0.
    pub fn ok(&self, arguments: &str) -> Result<String> {
        let (status, stdout, stderr) = self.call(arguments)?;
        ensure!(
            status == Some(0),
            "`tapweave {arguments}` ended with {status:?}: {stdout}{stderr}"
        );
        Ok(stdout)
    }

    /// Runs a command with `--json` and returns what it printed.
    ///
    /// # Errors
    ///
    /// When it fails or does not print JSON.
    pub fn json(&self, arguments: &str) -> Result<Value> {
        let stdout = self.ok(&format!("--json {arguments}"))?;
        serde_json::from_str(&stdout).with_context(|| format!("`tapweave {arguments}`: {stdout}"))
    }

    /// Runs a command that must be refused and returns its message.
    ///
    /// # Errors
    ///
    /// When the exit status is not 1, something is on stdout, or stderr is not exactly one line.
    pub fn refused(&self, arguments: &str) -> Result<String> {
        let (status, stdout, stderr) = self.call(arguments)?;
        ensure!(
            status == Some(1) && stdout.is_empty() && stderr.lines().count() == 1,
            "`tapweave {arguments}` should be refused in one line, but ended with {status:?}: \
             {stdout}{stderr}"
        );
        Ok(stderr.trim_end().to_owned())
    }

    /// Runs a command whose words are wrong and returns what it said.
    ///
    /// # Errors
    ///
    /// When the exit status is not 2, or something is on stdout.
    pub fn misused(&self, arguments: &str) -> Result<String> {
        let (status, stdout, stderr) = self.call(arguments)?;
        ensure!(
            status == Some(2) && stdout.is_empty() && !stderr.is_empty(),
            "`tapweave {arguments}` should be wrong usage, but ended with {status:?}: \
             {stdout}{stderr}"
        );
        Ok(stderr)
    }

    /// Connects a sandbox and returns the endpoint.
    ///
    /// # Errors
    ///
    /// When it is refused, or the answer lacks something.
    pub fn connect(&self, network: &str, sandbox: &Sandbox, options: &str) -> Result<Endpoint> {
        let answer = self.json(&format!(
            "network connect {network} {} {} {options}",
            sandbox.name(),
            sandbox.options()
        ))?;
        Endpoint::parse(&answer).with_context(|| format!("network connect answered {answer}"))
    }

    /// Returns the first address that gateways have outside.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn outside(&self) -> Result<IpAddr> {
        let stats = self.json("stats")?;
        let address = stats["uplink"]["addresses"][0].as_str();
        let address: IpNet = address.context("no address outside")?.parse()?;
        Ok(address.addr())
    }

    /// Returns the FDB of a network, in the order that is printed.
    ///
    /// # Errors
    ///
    /// When it is refused, or a row lacks something.
    pub fn fdb(&self, network: &str) -> Result<Vec<FdbRow>> {
        let listing = self.json(&format!("fdb show {network}"))?;
        listing::rows(&listing)?.iter().map(FdbRow::parse).collect()
    }

    /// Returns the port at which a station is in the FDB of a network, if it is there.
    ///
    /// # Errors
    ///
    /// As [`Cli::fdb`].
    pub fn whereabouts(&self, network: &str, mac: MacAddr) -> Result<Option<String>> {
        let mut rows = self.fdb(network)?.into_iter();
        Ok(rows.find(|row| row.mac == mac).map(|row| row.port))
    }

    /// Returns the counters of a port.
    ///
    /// # Errors
    ///
    /// When it is refused, or something is missing.
    pub fn counters(&self, port: &str) -> Result<Counters> {
        Counters::parse(&self.json(&format!("port show {port}"))?)
    }

    fn call(&self, arguments: &str) -> Result<(Option<i32>, String, String)> {
        let mut command = Command::new(&self.binary);
        command
            .arg("--socket")
            .arg(&self.socket)
            .args(arguments.split_whitespace());
        let output = run(&mut command, "")?;
        Ok((
            output.status.code(),
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        ))
    }
}
