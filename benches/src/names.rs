//! How fast names are answered, what forwarding adds, and what traffic beside loses.

use anyhow::{Context as _, Result};
use serde::Serialize;
use tapweave_integration::Lab;

use crate::cost::{Cost, CostMeter};
use crate::datapath::{Joined, Way};
use crate::dns_peer::{self, Times};
use crate::dnsperf::{self, Answered, Pace, Questions};
use crate::iperf::{self, Server};
use crate::machine::TICKS_PER_SEC;
use crate::rate::{BitRate, float};
use crate::resolver::{dead_names, known_names, worker_ticks};
use crate::rounds::Rounds;
use crate::series::Summary;

/// The answers a second that a resolver should give.
pub const FULL_RATE: u32 = 20_000;

/// The rate at which times are measured.
pub const HALF_RATE: u32 = FULL_RATE / 2;

/// The rate of questions that nobody answers, beside those.
pub const DEAD_RATE: u32 = 50;

/// Names at one resolver.
#[derive(Clone, Debug, Serialize)]
pub struct NamesResult {
    /// Name of the resolver.
    pub resolver: String,
    /// Thousand answers a second for names of the network, as fast as they are asked for.
    pub thousand_per_sec: Summary,
    /// What that is of what the first resolver gave in the same round.
    pub ratio: Summary,
    /// Percentage of questions that were not answered within a second.
    pub lost_percent: Summary,
    /// Processor microseconds of the resolver's process for an answer.
    pub resolver_us: Option<Summary>,
    /// Median of the times of answers at [`HALF_RATE`], in microseconds.
    pub p50_us: Option<Summary>,
    /// Their 99th percentile, in microseconds.
    pub p99_us: Option<Summary>,
    /// The same while nobody answers for other names, [`DEAD_RATE`] of which are asked for a second.
    pub p99_beside_dead_us: Option<Summary>,
    /// Median time of an answer that another server gives, one at a time, in microseconds.
    pub forwarded_us: Summary,
    /// What of that the server itself takes, as it is seen beside the resolver, in microseconds.
    pub server_us: Summary,
    /// The difference.
    pub added_us: Summary,
}

/// TCP beside a resolver that is asked [`FULL_RATE`] names a second.
#[derive(Clone, Debug, Serialize)]
pub struct NamesTcpResult {
    /// Name of the resolver.
    pub resolver: String,
    /// Throughput alone, in Gb/s.
    pub alone_gbits_per_sec: Summary,
    /// Throughput beside the questions, in Gb/s.
    pub beside_gbits_per_sec: Summary,
    /// What the latter is of the former in the same round.
    pub ratio: Summary,
    /// What is left of the throughput alone while the cheapest of servers is asked as much, in the sandbox itself: what those
    /// who ask take from two cores.
    pub asking_ratio: Summary,
    /// Throughput beside the questions to the resolver, compared with beside those to the cheapest of servers.
    pub resolver_ratio: Summary,
    /// What arrives beside the questions to the resolver of traffic that takes half of the throughput alone, and so leaves
    /// processor time.
    pub paced_ratio: Summary,
    /// Thousand answers a second meanwhile.
    pub thousand_per_sec: Summary,
    /// What the frames of 10^9 bytes cost the threads that move them beside the questions, compared with alone.
    pub worker_ratio: Option<Summary>,
}

struct Run {
    full: Answered,
    cost: Cost,
    half: Answered,
    beside_dead: Answered,
    forwarded: Times,
    direct: Times,
}

struct TcpRun {
    alone: iperf::Run,
    asking: iperf::Run,
    beside: iperf::Run,
    paced_ratio: f64,
    answers_per_sec: f64,
    worker_ratio: Option<f64>,
}

/// Measures all resolvers.
///
/// # Errors
///
/// When a name is not found, or no question passed.
pub fn measure(rounds: &mut Rounds<'_>, lab: &Lab) -> Result<Vec<NamesResult>> {
    let known = Questions::write(lab, "names-known", known_names())?;
    let dead = Questions::write(lab, "names-dead", dead_names())?;
    let plan = rounds.plan();
    let (secs, ms) = (plan.tcp_secs, plan.ping_pong_ms);
    let series = rounds.take(|joined| run(lab, joined, &known, &dead, secs, ms))?;
    let result = |(place, joined): (usize, &Joined)| {
        let of = |figure: fn(&Run) -> f64| series.summary(place, figure);
        let of_some = |figure: fn(&Run) -> Option<f64>| series.summary_of(place, figure);
        Some(NamesResult {
            resolver: joined.name.clone(),
            thousand_per_sec: of(|run| run.full.per_sec / 1e3)?,
            ratio: series.ratio(place, |run| run.full.per_sec)?,
            lost_percent: of(|run| run.full.lost_percent())?,
            resolver_us: of_some(|run| Some(run.cost.switch_secs? * 1e6 / float(run.full.count))),
            p50_us: of_some(|run| run.half.p50_us),
            p99_us: of_some(|run| run.half.p99_us),
            p99_beside_dead_us: of_some(|run| run.beside_dead.p99_us),
            forwarded_us: of(|run| run.forwarded.p50_us)?,
            server_us: of(|run| run.direct.p50_us)?,
            added_us: of(|run| run.forwarded.p50_us - run.direct.p50_us)?,
        })
    };
    let resolvers = rounds.datapaths().iter().enumerate();
    Ok(resolvers.filter_map(result).collect())
}

fn run(
    lab: &Lab,
    joined: &Joined,
    known: &Questions,
    dead: &Questions,
    secs: u32,
    ms: u32,
) -> Result<Run> {
    let meter = CostMeter::start(joined.switch())?;
    let work = || dnsperf::run(joined, known, Pace::Answers, secs);
    // A question has its header, a name and its type.
    let full = joined.prove_carried(Way::Up, work, |full| full.count * 20)?;
    let cost = meter.stop()?;
    let half = dnsperf::run(joined, known, Pace::PerSec(HALF_RATE), secs)?;
    let resolver = (joined.server_ip, 53).into();
    let waiting = dnsperf::start(lab, joined, resolver, dead, DEAD_RATE, secs + 5)?;
    let beside_dead = dnsperf::run(joined, known, Pace::PerSec(HALF_RATE), secs)?;
    drop(waiting);
    Ok(Run {
        full,
        cost,
        half,
        beside_dead,
        forwarded: dns_peer::ask(&joined.client, resolver, ms)?,
        direct: dns_peer::ask(&joined.server, dns_peer::SERVER, ms)?,
    })
}

/// Measures TCP between the sandboxes `beside` each resolver, alone and while it is asked.
///
/// # Errors
///
/// When a run fails or its traffic went another way.
pub fn measure_tcp(
    rounds: &mut Rounds<'_>,
    lab: &Lab,
    beside: &[Joined],
) -> Result<Vec<NamesTcpResult>> {
    let known = Questions::write(lab, "names-beside", known_names())?;
    let servers = beside.iter().map(|joined| Server::start(lab, joined));
    let _servers = servers.collect::<Result<Vec<_>>>()?;
    let resolvers = rounds.datapaths().iter();
    let cheap = resolvers.map(|joined| dns_peer::start_server(lab, &joined.client));
    let _cheap = cheap.collect::<Result<Vec<_>>>()?;
    let secs = rounds.plan().tcp_secs;
    let series = rounds.take(|joined| {
        let beside = beside.iter().find(|it| it.name == joined.name);
        let beside = beside.context("there are no sandboxes beside it")?;
        run_tcp(lab, joined, beside, &known, secs)
    })?;
    let result = |(place, joined): (usize, &Joined)| {
        let of = |figure: fn(&TcpRun) -> f64| series.summary(place, figure);
        Some(NamesTcpResult {
            resolver: joined.name.clone(),
            alone_gbits_per_sec: of(|run| run.alone.rate.gigabits())?,
            beside_gbits_per_sec: of(|run| run.beside.rate.gigabits())?,
            ratio: of(|run| run.beside.rate.gigabits() / run.alone.rate.gigabits())?,
            asking_ratio: of(|run| run.asking.rate.gigabits() / run.alone.rate.gigabits())?,
            resolver_ratio: of(|run| run.beside.rate.gigabits() / run.asking.rate.gigabits())?,
            paced_ratio: of(|run| run.paced_ratio)?,
            thousand_per_sec: of(|run| run.answers_per_sec / 1e3)?,
            worker_ratio: series.summary_of(place, |run| run.worker_ratio),
        })
    };
    let resolvers = rounds.datapaths().iter().enumerate();
    Ok(resolvers.filter_map(result).collect())
}

fn run_tcp(
    lab: &Lab,
    joined: &Joined,
    beside: &Joined,
    known: &Questions,
    secs: u32,
) -> Result<TcpRun> {
    let (alone, alone_cost) = send(beside, || iperf::run(beside, 1, Way::Up, secs))?;
    // iperf3 takes a moment to begin and to end, more on a busy machine.
    let ask = |server| dnsperf::start(lab, joined, server, known, FULL_RATE, secs + 2);
    let cheap = ask(dns_peer::SERVER)?;
    let (asking, _cost) = send(beside, || iperf::run(beside, 1, Way::Up, secs))?;
    cheap.finish()?;
    let resolver = (joined.server_ip, 53).into();
    let load = ask(resolver)?;
    let (with_load, cost) = send(beside, || iperf::run(beside, 1, Way::Up, secs))?;
    let answers_per_sec = load.finish()?;
    let half = BitRate::from_bits_per_sec(alone.rate.bits_per_sec() / 2.0);
    let load = ask(resolver)?;
    let (paced, _cost) = send(beside, || iperf::run_paced(beside, half, secs))?;
    load.finish()?;
    Ok(TcpRun {
        alone,
        asking,
        beside: with_load,
        paced_ratio: paced.rate.gigabits() / half.gigabits(),
        answers_per_sec,
        worker_ratio: cost.zip(alone_cost).map(|(with, without)| with / without),
    })
}

/// Returns what arrived, and the seconds that the threads which move frames took for 10^9 bytes.
fn send(
    beside: &Joined,
    work: impl FnOnce() -> Result<iperf::Run>,
) -> Result<(iperf::Run, Option<f64>)> {
    let before = worker_ticks(beside.switch())?;
    let sent = beside.prove_carried(Way::Up, work, |run| run.payload_len)?;
    let after = worker_ticks(beside.switch())?;
    let ticks = after.zip(before).map(|(after, before)| after - before);
    let gbytes = float(sent.payload_len) / 1e9;
    let cost = ticks.map(|ticks| float(ticks) / TICKS_PER_SEC / gbytes);
    Ok((sent, cost))
}
