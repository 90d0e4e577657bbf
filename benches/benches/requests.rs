//! Requests to a real daemon, over its socket: how many a second, and how long one takes.
//!
//! `cargo bench --bench requests` goes into namespaces of its own. Some clients at the same time, each with a sandbox of
//! its own, connect it and disconnect it for a few seconds, interfaces and all; then one makes and removes networks. The
//! daemon keeps its state in the embedded store, in the directory for temporary files: where that is not on a disk,
//! waiting for the disk costs nothing. `--test` does so for a moment, to prove that it works.
//!
//! The goals are 100 times connect and disconnect a second, and 10 ms for a network.

use std::env;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use rustix::process::geteuid;
use tapweave_benches::series::Summary;
use tapweave_benches::{namespaces, program};
use tapweave_control::Name;
use tapweave_control::api::{Connect, CreateNetwork, Disconnect};
use tapweave_control::client::Client;
use tapweave_control::datapath::NamespaceRef;
use tapweave_integration::{Daemon, Lab, Sandbox};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Measures requests to a daemon.
#[derive(Debug, Parser)]
struct Args {
    /// Do everything for a moment only; the figures mean nothing
    #[arg(long)]
    test: bool,
    /// Seconds of each measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    seconds: u64,
    /// Further options of the daemon, separated by spaces
    #[arg(
        long,
        value_name = "OPTIONS",
        default_value = "",
        allow_hyphen_values = true
    )]
    options: String,
    /// Endpoints that are there meanwhile
    #[arg(long, value_name = "N", default_value_t = 0)]
    present: usize,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// How long one request of each kind took, in milliseconds.
#[derive(Default)]
struct Times {
    connects: Vec<f64>,
    disconnects: Vec<f64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if !namespaces::is_inside() {
        program::build()?;
        return namespaces::enter_own(env::args().skip(1));
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Lab::run(|lab| measure(&args, lab, &runtime))
}

fn measure(args: &Args, lab: &Lab, runtime: &Runtime) -> Result<()> {
    let limit = if args.test {
        Duration::from_millis(50)
    } else {
        Duration::from_secs(args.seconds)
    };
    let (socket, log) = (lab.file("daemon.sock"), lab.file("daemon.log"));
    let state = lab.file("state");
    let options = format!("--state-dir {} {}", state.display(), args.options);
    let daemon = Daemon::with_options(&options, &socket, &log)?;
    let client = Client::new(socket, geteuid().as_raw());
    runtime.block_on(client.create_network(&CreateNetwork::new("net".parse()?)))?;
    let mut present = Vec::new();
    for number in 0..args.present {
        let sandbox = lab.sandbox(&format!("present-{number}"))?;
        runtime.block_on(client.connect("net", &request(&sandbox)))?;
        present.push(sandbox);
    }
    let sandboxes = (0..16).map(|number| lab.sandbox(&format!("s{number}")));
    let sandboxes = sandboxes.collect::<Result<Vec<_>>>()?;
    print("CLIENTS  CONNECT+DISCONNECT/S  CONNECT MS (MEDIAN, MAX)  DISCONNECT MS (MEDIAN, MAX)")?;
    for client_count in [1, 4, 16] {
        let requests = sandboxes.iter().take(client_count).map(request).collect();
        runtime.block_on(measure_connects(&client, requests, limit))?;
    }
    runtime.block_on(measure_networks(&client, limit))?;
    daemon.stop()
}

async fn measure_connects(client: &Client, requests: Vec<Connect>, limit: Duration) -> Result<()> {
    let start = now();
    let client_count = requests.len();
    let mut clients = JoinSet::new();
    for request in requests {
        clients.spawn(come_and_go(client.clone(), request, limit));
    }
    let mut all = Times::default();
    while let Some(times) = clients.join_next().await {
        let times = times??;
        all.connects.extend(times.connects);
        all.disconnects.extend(times.disconnects);
    }
    let per_second = rate(all.connects.len(), start.elapsed());
    let connect = Summary::of(all.connects).context("nothing was connected")?;
    let disconnect = Summary::of(all.disconnects).context("nothing was disconnected")?;
    print(&format!(
        "{client_count:<7}  {per_second:<20.0}  {:>6.2}, {:<16.2}  {:>6.2}, {:.2}",
        connect.median, connect.max, disconnect.median, disconnect.max
    ))
}

async fn measure_networks(client: &Client, limit: Duration) -> Result<()> {
    let mut times = Vec::new();
    let start = now();
    while start.elapsed() < limit {
        let name: Name = format!("other-{}", times.len()).parse()?;
        let begin = now();
        client
            .create_network(&CreateNetwork::new(name.clone()))
            .await?;
        times.push(millis(begin.elapsed()));
        client.remove_network(name.as_str()).await?;
    }
    let time = Summary::of(times).context("no network was made")?;
    print(&format!(
        "network create: {:.2} ms (median), {:.2} ms (max)",
        time.median, time.max
    ))
}

/// Connects a sandbox and disconnects it until `limit` is over, at least once.
async fn come_and_go(client: Client, request: Connect, limit: Duration) -> Result<Times> {
    let mut times = Times::default();
    let disconnect = Disconnect {
        sandbox: request.sandbox.clone(),
        force: false,
    };
    let start = now();
    loop {
        let begin = now();
        client.connect("net", &request).await?;
        let connected = now();
        client.disconnect("net", &disconnect).await?;
        times.connects.push(millis(connected.duration_since(begin)));
        times.disconnects.push(millis(connected.elapsed()));
        if start.elapsed() >= limit {
            return Ok(times);
        }
    }
}

fn request(sandbox: &Sandbox) -> Connect {
    Connect {
        namespace: Some(NamespaceRef::Path(sandbox.path())),
        ..Connect::new(sandbox.name())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a few seconds are small"
)]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> Instant {
    Instant::now()
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}
