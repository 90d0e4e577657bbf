//! tapweave between real namespaces, beside the kernel's bridge and VDE's switch.
//!
//! `cargo bench --bench end_to_end -- --help` tells the options. It builds tapweave, goes into namespaces
//! of its own (as root, or as an ordinary user who may make user namespaces), measures for about three
//! minutes and prints a page or, with `--json`, the same as data. `--test` runs everything once and
//! as shortly as possible, to prove that it works; its figures mean nothing.
//!
//! Needed besides Rust: iproute2, iperf3, ping, util-linux and a usable `/dev/net/tun`.

use std::env;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use tapweave_benches::datapath::Joined;
use tapweave_benches::machine::Machine;
use tapweave_benches::report::Report;
use tapweave_benches::rounds::{Plan, Rounds};
use tapweave_benches::{idle, namespaces, ping_pong};
use tapweave_integration::Lab;

/// Measures tapweave between namespaces, beside the kernel's bridge and VDE's switch.
#[derive(Debug, Parser)]
struct Args {
    /// Run everything once, as shortly as possible; the figures mean nothing
    #[arg(long)]
    test: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Rounds, each with one run of every datapath
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of one TCP run
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Begin runs without waiting until the machine has nothing else to do
    #[arg(long)]
    no_wait: bool,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn plan(&self) -> Plan {
        if self.test {
            return Plan {
                round_count: 1,
                tcp_secs: 1,
                stream_counts: vec![1],
                round_trip_count: 100,
                idle_secs: 1,
                waits_for_quiet: false,
            };
        }
        Plan {
            round_count: self.rounds,
            tcp_secs: self.seconds,
            stream_counts: vec![1, 4],
            round_trip_count: 5_000,
            idle_secs: 10,
            waits_for_quiet: !self.no_wait,
        }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some((ping_pong::ARGUMENT, rest)) = arguments
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        let result = ping_pong::run_inside(rest, print)?;
        return print(&result);
    }
    let args = Args::parse();
    if !namespaces::is_inside() {
        build_tapweave()?;
        return namespaces::enter_own(&arguments);
    }
    let report = measure(&args.plan())?;
    if args.json {
        print(&serde_json::to_string_pretty(&report)?)
    } else {
        print(report.to_string().trim_end())
    }
}

fn measure(plan: &Plan) -> Result<Report> {
    let machine = Machine::describe()?;
    let mut idle = None;
    Lab::run(|lab| {
        idle = Some(idle::measure(
            lab,
            Duration::from_secs(plan.idle_secs.into()),
        )?);
        Ok(())
    })?;
    let mut report = None;
    Lab::run(|lab| {
        let mut datapaths = vec![Joined::by_kernel(lab)?, Joined::by_tapweave(lab)?];
        let vde = Joined::by_vde(lab)?;
        let missing = vde.is_none().then_some("vde_switch");
        datapaths.extend(vde);
        let mut rounds = Rounds::new(plan, &datapaths);
        report = Some(Report {
            machine,
            plan: plan.clone(),
            tcp: rounds.tcp(lab)?,
            ping_pong: rounds.ping_pong(lab)?,
            noisy_run_count: rounds.noisy_run_count(),
            missing: missing.into_iter().collect(),
            idle: idle.context("the idle daemon was not measured")?,
        });
        Ok(())
    })?;
    report.context("nothing was measured")
}

/// Builds the program that is measured, which `cargo bench` of this package alone would not do.
fn build_tapweave() -> Result<()> {
    if env::var_os("TAPWEAVE_BIN").is_some() {
        return Ok(());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "-p",
            "tapweave-cli",
        ])
        .status()
        .context("starting cargo to build tapweave")?;
    ensure!(status.success(), "tapweave cannot be built");
    Ok(())
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}
