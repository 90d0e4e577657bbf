//! How long traffic rests while a daemon is replaced: by another one that takes over, and after `kill -9`.
//!
//! `cargo bench --bench restart` goes into namespaces of its own and connects as many sandboxes as `--endpoints` says. Between
//! the first and the last of them a UDP datagram goes every millisecond, and is answered; the figure is the longest time
//! between two answers. `--rounds` times it is taken while nothing happens, which tells what the machine does
//! by itself, while another daemon takes over, and while the daemon is killed and another one started; there the time
//! from the start of the new daemon until the next answer counts. `--test` does so with three, to prove that it works.
//!
//! The goals are 50 ms for a takeover, and 300 ms after a kill with 100 endpoints. After a long gap all that has waited
//! arrives at once, which may be more than the receiving socket takes: then it counts as lost.

use std::env;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use tapweave_benches::gap::{self, Gap, monotonic};
use tapweave_benches::series::Summary;
use tapweave_benches::{namespaces, program};
use tapweave_integration::segment::Segment;
use tapweave_integration::{Daemon, Lab};

/// Measures how long traffic rests while a daemon is replaced.
#[derive(Debug, Parser)]
struct Args {
    /// Only prove that it works; the figures mean nothing
    #[arg(long)]
    test: bool,
    /// Endpoints in one network, 2 to 200
    #[arg(long, value_name = "N", default_value_t = 100)]
    endpoints: usize,
    /// How often each is taken
    #[arg(long, value_name = "N", default_value_t = 10)]
    rounds: usize,
    /// Milliseconds of one measurement, in which the new daemon has to start
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    millis: u64,
    /// Further options of the daemon, separated by spaces
    #[arg(
        long,
        value_name = "OPTIONS",
        default_value = "--uplink none",
        allow_hyphen_values = true
    )]
    options: String,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == gap::ARGUMENT
    {
        return print(&gap::run_inside(rest, print)?);
    }
    let mut args = Args::parse();
    if !namespaces::is_inside() {
        program::build()?;
        return namespaces::enter_own(&arguments);
    }
    if args.test {
        args.endpoints = 3;
        args.rounds = 1;
        // However busy the machine is, a daemon has started by then.
        args.millis = 3_000;
    }
    ensure!((2..=200).contains(&args.endpoints), "--endpoints: 2 to 200");
    Lab::run(|lab| measure(&args, lab))
}

/// Where one daemon comes after the other.
struct Place<'a> {
    lab: &'a Lab,
    options: String,
    socket: PathBuf,
    log: PathBuf,
}

impl Place<'_> {
    fn start(&self, option: &str) -> Result<Daemon> {
        let options = format!("{option} {}", self.options);
        Daemon::with_options(&options, &self.socket, &self.log)
    }
}

/// What the rounds gave, in milliseconds.
#[derive(Default)]
struct Times {
    nothing: Vec<f64>,
    takeover: Vec<f64>,
    /// From the start of the new daemon until the next answer.
    kill: Vec<f64>,
    /// From the start of the new daemon until it serves.
    ready: Vec<f64>,
    lost_at_takeovers: u64,
    lost_at_kills: u64,
}

fn measure(args: &Args, lab: &Lab) -> Result<()> {
    let place = Place {
        lab,
        options: format!(
            "{} --state-dir {}",
            args.options,
            lab.file("state").display()
        ),
        socket: lab.file("daemon.sock"),
        log: lab.file("daemon.log"),
    };
    let network = "--subnet 10.211.0.0/24 -o tapweave.dad=false";
    let options = vec![""; args.endpoints];
    let mut segment = Segment::on(place.start("")?, lab, network, &options)?;
    let to = segment.ipv4(args.endpoints - 1)?;
    let time = Duration::from_millis(args.millis);
    let mut times = Times::default();
    for _ in 0..args.rounds {
        let run = start(&place, &segment, to, time)?;
        times.nothing.push(run.finish()?.ms);

        let run = start(&place, &segment, to, time)?;
        let new = place.start("--takeover")?;
        segment.daemon.ended()?;
        segment.daemon = new;
        let Gap { ms, lost, .. } = run.finish()?;
        times.takeover.push(ms);
        times.lost_at_takeovers += lost;

        let run = start(&place, &segment, to, time)?;
        segment.daemon.kill()?;
        let begin = monotonic();
        segment.daemon = place.start("")?;
        times.ready.push(millis(monotonic().saturating_sub(begin)));
        let gap = run.finish()?;
        ensure!(
            gap.end > begin,
            "nothing has rested while there was no daemon"
        );
        times.kill.push(millis(gap.end.saturating_sub(begin)));
        times.lost_at_kills += gap.lost;
    }
    segment.daemon.stop()?;
    report(args, times)
}

fn start(place: &Place<'_>, segment: &Segment, to: IpAddr, time: Duration) -> Result<gap::Run> {
    let [first, .., last] = &segment.sandboxes[..] else {
        anyhow::bail!("there are no two sandboxes");
    };
    gap::Run::start(place.lab, [first, last], to, time)
}

fn report(args: &Args, times: Times) -> Result<()> {
    let rounds = args.rounds;
    print(&format!(
        "{} endpoints, {rounds} rounds; milliseconds: median (least to most)",
        args.endpoints
    ))?;
    for (what, values) in [
        ("longest gap while nothing happens", times.nothing),
        ("longest gap during a takeover", times.takeover),
        (
            "from the start after a kill until traffic flows",
            times.kill,
        ),
        (
            "from the start after a kill until the daemon serves",
            times.ready,
        ),
    ] {
        let Summary { median, min, max } = Summary::of(values).context("no rounds")?;
        print(&format!("{what}: {median:.1} ({min:.1} to {max:.1})"))?;
    }
    print(&format!(
        "datagrams lost: {} at takeovers, {} at kills",
        times.lost_at_takeovers, times.lost_at_kills
    ))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}
