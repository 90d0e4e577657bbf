//! How long a daemon takes to start where an earlier one was killed: until it serves, with everything in its place.
//!
//! `cargo bench --bench start` goes into namespaces of its own, makes as many sandboxes as `--endpoints` says and
//! connects them. Then the daemon is killed and another one started, `--rounds` times, once with the sandboxes still
//! there, so that each gets its interface again, and once after they have ended, so that only the state is read and
//! cleaned up. That daemon is stopped at once, which has to wait until the last interface has gone. `--test` does so with three, to prove that it works.
//!
//! The goal is one second for 1,000 endpoints.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use rustix::process::geteuid;
use tapweave_benches::series::Summary;
use tapweave_benches::{namespaces, program};
use tapweave_control::api::{Connect, CreateNetwork};
use tapweave_control::client::Client;
use tapweave_control::datapath::NamespaceRef;
use tapweave_integration::{Daemon, Lab, Sandbox};
use tokio::runtime::{Builder, Runtime};

/// Endpoints in a network: a /24 has room for some more.
const NETWORK_LEN: usize = 200;

/// Measures how long a daemon takes to start.
#[derive(Debug, Parser)]
struct Args {
    /// Only prove that it works; the figures mean nothing
    #[arg(long)]
    test: bool,
    /// Endpoints that are stored
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    endpoints: usize,
    /// How often a daemon is killed and started
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where daemons are started one after the other.
struct Place {
    options: String,
    socket: PathBuf,
    log: PathBuf,
    client: Client,
}

fn main() -> Result<()> {
    let mut args = Args::parse();
    if !namespaces::is_inside() {
        program::build()?;
        return namespaces::enter_own(env::args().skip(1));
    }
    if args.test {
        args.endpoints = 3;
        args.rounds = 1;
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Lab::run(|lab| measure(&args, lab, &runtime))
}

fn measure(args: &Args, lab: &Lab, runtime: &Runtime) -> Result<()> {
    let socket = lab.file("daemon.sock");
    let place = Place {
        options: format!("--state-dir {}", lab.file("state").display()),
        log: lab.file("daemon.log"),
        client: Client::new(socket.clone(), geteuid().as_raw()),
        socket,
    };
    let mut daemon = place.start()?;
    let mut sandboxes = Vec::new();
    for number in 0..args.endpoints {
        let network = format!("net-{}", number / NETWORK_LEN);
        if number % NETWORK_LEN == 0 {
            let request = CreateNetwork::new(network.parse()?);
            runtime.block_on(place.client.create_network(&request))?;
        }
        let sandbox = lab.sandbox(&format!("s{number}"))?;
        runtime.block_on(place.client.connect(&network, &request(&sandbox)))?;
        sandboxes.push(sandbox);
    }
    let mut times = Vec::new();
    for _ in 0..args.rounds {
        daemon.kill()?;
        let begin = now();
        daemon = place.start()?;
        times.push(begin.elapsed().as_secs_f64());
        let endpoints = runtime.block_on(place.client.endpoints())?;
        ensure!(
            endpoints.len() == args.endpoints,
            "{} endpoints are there again, not {}",
            endpoints.len(),
            args.endpoints
        );
    }
    report(args, "ready", "their sandboxes there", times)?;
    daemon.kill()?;
    drop(sandboxes);
    let begin = now();
    daemon = place.start()?;
    let started = begin.elapsed().as_secs_f64();
    report(args, "ready", "their sandboxes gone", vec![started])?;
    let begin = now();
    daemon.stop()?;
    let stopped = begin.elapsed().as_secs_f64();
    report(
        args,
        "stopped at once",
        "their sandboxes gone",
        vec![stopped],
    )
}

impl Place {
    fn start(&self) -> Result<Daemon> {
        Daemon::with_options(&self.options, &self.socket, &self.log)
    }
}

fn report(args: &Args, what: &str, state: &str, times: Vec<f64>) -> Result<()> {
    let time = Summary::of(times).context("no daemon was started")?;
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "{what} with {} stored endpoints, {state}: {:.2} s (median; {:.2} to {:.2})",
        args.endpoints, time.median, time.min, time.max
    )?;
    Ok(stdout.flush()?)
}

fn request(sandbox: &Sandbox) -> Connect {
    Connect {
        namespace: Some(NamespaceRef::Path(sandbox.path())),
        ..Connect::new(sandbox.name())
    }
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> Instant {
    Instant::now()
}
