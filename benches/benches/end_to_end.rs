//! tapweave between real namespaces, beside the kernel's bridge and other switches.
//!
//! `cargo bench --bench end_to_end -- --help` tells the options. It builds tapweave, goes into namespaces
//! of its own (as root, or as an ordinary user who may make user namespaces), measures for about five
//! minutes and prints a page of Markdown or, with `--json`, the same as data. `--test` runs everything
//! once and as shortly as possible, to prove that it works; its figures mean nothing.
//!
//! Needed besides Rust: iproute2, iperf3, ping, util-linux and a usable `/dev/net/tun`.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum as _};
use tapweave_benches::datapath::{Build, Joined, Kind, Way};
use tapweave_benches::machine::Machine;
use tapweave_benches::mix::Mix;
use tapweave_benches::plan::{Case, Plan, Setting};
use tapweave_benches::report::Report;
use tapweave_benches::rounds::Rounds;
use tapweave_benches::{
    connections, dns_peer, dnsperf, frames, gateway, generator, idle, names, namespaces, overlay,
    ping_pong, program, resolver, tcp,
};
use tapweave_integration::Lab;

/// Measures tapweave between namespaces, beside the kernel's bridge and other switches.
#[derive(Debug, Parser)]
struct Args {
    /// Measure only this (may be repeated)
    #[arg(long, value_name = "NAME")]
    only: Vec<Case>,
    /// Measure only this datapath (may be repeated); ratios are to the first
    #[arg(long, value_name = "NAME")]
    datapath: Vec<Kind>,
    /// Measure only this gateway (may be repeated); ratios are to the first
    #[arg(long, value_name = "NAME")]
    gateway: Vec<gateway::Kind>,
    /// Measure only this overlay (may be repeated); ratios are to the first
    #[arg(long, value_name = "NAME")]
    overlay: Vec<overlay::Kind>,
    /// Measure only this resolver (may be repeated); ratios are to the first
    #[arg(long, value_name = "NAME")]
    resolver: Vec<resolver::Kind>,
    /// Measure this build of tapweave as well, as `other`
    #[arg(long, value_name = "PATH")]
    tapweave: Option<PathBuf>,
    /// Start the daemon of `other` with these options, separated by spaces
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    options: Option<String>,
    /// Run everything once, as shortly as possible; the figures mean nothing
    #[arg(long)]
    test: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Rounds, each with one run of every datapath
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of one TCP run
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
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
        let cases = if self.only.is_empty() {
            Case::value_variants().to_vec()
        } else {
            self.only.clone()
        };
        if self.test {
            return Plan {
                cases,
                round_count: 1,
                tcp_secs: 1,
                frames_ms: 100,
                ping_pong_ms: 100,
                connections_ms: 100,
                port_count: 20,
                idle_secs: 1,
                waits_for_quiet: false,
            };
        }
        Plan {
            cases,
            round_count: self.rounds,
            tcp_secs: self.seconds,
            frames_ms: 1_000,
            ping_pong_ms: 1_000,
            connections_ms: 1_000,
            port_count: 1_000,
            idle_secs: 5,
            waits_for_quiet: !self.no_wait,
        }
    }

    fn datapaths(&self) -> Vec<Kind> {
        if !self.datapath.is_empty() {
            return self.datapath.clone();
        }
        let all = Kind::value_variants().iter().copied();
        let has_other = self.has_other();
        all.filter(|kind| *kind != Kind::Other || has_other)
            .collect()
    }

    fn gateways(&self) -> Vec<gateway::Kind> {
        if !self.gateway.is_empty() {
            return self.gateway.clone();
        }
        let all = gateway::Kind::value_variants().iter().copied();
        let has_other = self.has_other();
        all.filter(|kind| !kind.is_other() || has_other).collect()
    }

    const fn has_other(&self) -> bool {
        self.tapweave.is_some() || self.options.is_some()
    }

    fn overlays(&self) -> Vec<overlay::Kind> {
        if !self.overlay.is_empty() {
            self.overlay.clone()
        } else if self.test {
            overlay::Kind::SMOKE.to_vec()
        } else {
            overlay::Kind::value_variants().to_vec()
        }
    }

    fn resolvers(&self) -> Vec<resolver::Kind> {
        if !self.resolver.is_empty() {
            return self.resolver.clone();
        }
        if self.test {
            return resolver::Kind::SMOKE.to_vec();
        }
        let all = resolver::Kind::value_variants().iter().copied();
        let has_other = self.has_other();
        all.filter(|kind| *kind != resolver::Kind::Other || has_other)
            .collect()
    }

    fn other(&self) -> Build {
        Build {
            program: self.tapweave.clone(),
            options: self.options.clone().unwrap_or_default(),
        }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == ping_pong::ARGUMENT => {
            return print(&ping_pong::run_inside(rest, print)?);
        }
        Some((first, rest)) if first == connections::ARGUMENT => {
            return print(&connections::run_inside(rest, print)?);
        }
        Some((first, rest)) if first == dns_peer::ARGUMENT => {
            return print(&dns_peer::run_inside(rest, print)?);
        }
        Some((first, rest)) if first == generator::ARGUMENT => {
            return generator::run_inside(rest, print);
        }
        _ => {}
    }
    let args = Args::parse();
    if !namespaces::is_inside() {
        program::build()?;
        return namespaces::enter_own(&arguments);
    }
    let report = measure(&args)?;
    if args.json {
        print(&serde_json::to_string_pretty(&report)?)
    } else {
        print(report.to_string().trim_end())
    }
}

fn measure(args: &Args) -> Result<Report> {
    let plan = args.plan();
    let mut report = Report {
        machine: Machine::describe()?,
        plan: plan.clone(),
        missing: Vec::new(),
        noisy_run_count: 0,
        tcp: Vec::new(),
        frames: Vec::new(),
        nat_tcp: Vec::new(),
        nat_frames: Vec::new(),
        nat_connections: Vec::new(),
        overlay_tcp: Vec::new(),
        overlay_frames: Vec::new(),
        overlay_ping_pong: Vec::new(),
        ping_pong: Vec::new(),
        names: Vec::new(),
        names_tcp: Vec::new(),
        idle: Vec::new(),
    };
    for (case, port_count) in [(Case::Idle, 10), (Case::Ports, plan.port_count)] {
        if plan.has(case) {
            let watched = Duration::from_secs(plan.idle_secs.into());
            Lab::run(|lab| {
                report.idle.push(idle::measure(lab, port_count, watched)?);
                Ok(())
            })?;
        }
    }
    for setting in Setting::ALL {
        if plan.cases_in(setting).next().is_some() {
            Lab::run(|lab| match setting {
                Setting::Names => measure_names(args, &plan, lab, &mut report),
                Setting::Switch | Setting::Gateway | Setting::Overlay => {
                    measure_in(setting, args, &plan, lab, &mut report)
                }
            })?;
        }
    }
    Ok(report)
}

/// Measures the cases of one setting, with the same datapaths.
fn measure_in(
    setting: Setting,
    args: &Args,
    plan: &Plan,
    lab: &Lab,
    report: &mut Report,
) -> Result<()> {
    let mut datapaths = Vec::new();
    for (name, joined) in join(setting, args, lab)? {
        match joined {
            Some(joined) => datapaths.push(joined),
            None => report.missing.push(name),
        }
    }
    let mut rounds = Rounds::new(plan, &datapaths);
    for case in plan.cases_in(setting) {
        measure_case(case, &mut rounds, lab, report)?;
    }
    report.noisy_run_count += rounds.noisy_run_count();
    Ok(())
}

/// Measures resolvers.
fn measure_names(args: &Args, plan: &Plan, lab: &Lab, report: &mut Report) -> Result<()> {
    if !dnsperf::is_installed() {
        report.missing.push("dnsperf");
        return Ok(());
    }
    let (mut resolvers, mut beside, mut servers) = (Vec::new(), Vec::new(), Vec::new());
    for kind in args.resolvers() {
        match kind.join(lab, &args.other())? {
            Some(joined) => {
                resolvers.push(joined.resolver);
                beside.push(joined.beside);
                servers.push(joined.server);
            }
            None => report.missing.push(kind.name()),
        }
    }
    let mut rounds = Rounds::new(plan, &resolvers);
    if plan.has(Case::Names) {
        report.names = names::measure(&mut rounds, lab)?;
    }
    if plan.has(Case::NamesTcp) {
        report.names_tcp = names::measure_tcp(&mut rounds, lab, &beside)?;
    }
    report.noisy_run_count += rounds.noisy_run_count();
    Ok(())
}

/// Joins what is measured in a setting; what is not installed has only a name.
fn join(setting: Setting, args: &Args, lab: &Lab) -> Result<Vec<(&'static str, Option<Joined>)>> {
    let other = args.other();
    match setting {
        Setting::Switch => {
            let kinds = args.datapaths().into_iter();
            kinds
                .map(|kind| Ok((kind.name(), kind.join(lab, &other)?)))
                .collect()
        }
        Setting::Gateway => {
            let kinds = args.gateways().into_iter();
            kinds
                .map(|kind| Ok((kind.name(), kind.join(lab, &other)?)))
                .collect()
        }
        Setting::Overlay => {
            let kinds = args.overlays().into_iter();
            kinds
                .map(|kind| Ok((kind.name(), kind.join(lab)?)))
                .collect()
        }
        // They are joined by those who measure them.
        Setting::Names => Ok(Vec::new()),
    }
}

fn measure_case(case: Case, rounds: &mut Rounds<'_>, lab: &Lab, report: &mut Report) -> Result<()> {
    let Report {
        tcp: switch_tcp,
        frames: switch_frames,
        nat_tcp,
        overlay_tcp,
        overlay_frames,
        ..
    } = report;
    match case {
        Case::Tcp1 => switch_tcp.extend(tcp::measure(rounds, lab, 1, Way::Up)?),
        Case::Tcp4 => switch_tcp.extend(tcp::measure(rounds, lab, 4, Way::Up)?),
        Case::Frames1 => switch_frames.extend(frames::measure(rounds, lab, Mix::OneFlow)?),
        Case::Frames64 => switch_frames.extend(frames::measure(rounds, lab, Mix::ManyFlows)?),
        Case::Imix => switch_frames.extend(frames::measure(rounds, lab, Mix::Imix)?),
        Case::RoundTrip => report.ping_pong = ping_pong::measure(rounds, lab)?,
        Case::NatUp => nat_tcp.extend(tcp::measure(rounds, lab, 1, Way::Up)?),
        Case::NatDown => nat_tcp.extend(tcp::measure(rounds, lab, 1, Way::Down)?),
        Case::Nat4 => {
            nat_tcp.extend(tcp::measure(rounds, lab, 4, Way::Up)?);
            nat_tcp.extend(tcp::measure(rounds, lab, 4, Way::Down)?);
        }
        Case::NatCps => report.nat_connections = connections::measure(rounds, lab)?,
        Case::NatUdp => report.nat_frames = frames::measure(rounds, lab, Mix::OneFlow)?,
        Case::Vxlan1 => overlay_tcp.extend(tcp::measure(rounds, lab, 1, Way::Up)?),
        Case::Vxlan4 => overlay_tcp.extend(tcp::measure(rounds, lab, 4, Way::Up)?),
        Case::VxlanUdp => overlay_frames.extend(frames::measure(rounds, lab, Mix::OneFlow)?),
        Case::VxlanImix => overlay_frames.extend(frames::measure(rounds, lab, Mix::TunnelImix)?),
        Case::VxlanRoundTrip => report.overlay_ping_pong = ping_pong::measure(rounds, lab)?,
        // Measured without rounds, or elsewhere.
        Case::Names | Case::NamesTcp | Case::Idle | Case::Ports => {}
    }
    Ok(())
}

/// Builds the program that is measured, which `cargo bench` of this package alone would not do.
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}
