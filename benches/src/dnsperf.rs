//! Load on a resolver, made by dnsperf.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tapweave_integration::Lab;
use tapweave_integration::process::{Background, expect_success};

use crate::datapath::Joined;
use crate::rate::float;

/// Sockets that ask at the same time, as so many programs in a sandbox would.
const CLIENT_COUNT: u32 = 4;

/// Questions that are asked at any time; dnsperf's own default.
const UNDER_WAY_MAX: u32 = 100;

/// Seconds after which dnsperf counts a question as lost.
const PATIENCE_SECS: u32 = 1;

/// What dnsperf is to ask.
#[derive(Debug)]
pub struct Questions(PathBuf);

/// A dnsperf that runs beside something else.
#[derive(Debug)]
pub struct Load(Background);

/// How fast it is to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// As fast as it is answered.
    Answers,
    /// So many questions a second.
    PerSec(u32),
}

/// What one run gave.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Answered {
    /// Questions that were answered.
    pub count: u64,
    /// Questions that were not answered within a second.
    pub lost_count: u64,
    /// Answers a second.
    pub per_sec: f64,
    /// The median time until an answer, in microseconds; nothing where the pace was that of the answers.
    pub p50_us: Option<f64>,
    /// What 99 of 100 answers do not exceed, in microseconds; as above.
    pub p99_us: Option<f64>,
}

/// Tells whether dnsperf is there.
pub fn is_installed() -> bool {
    Command::new("dnsperf").arg("-H").output().is_ok()
}

impl Questions {
    /// Writes the questions for the addresses of `names`, which dnsperf asks in turn, to a file called `label`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(lab: &Lab, label: &str, names: impl Iterator<Item = String>) -> Result<Self> {
        let path = lab.file(label);
        let lines: Vec<String> = names.map(|name| format!("{name} A\n")).collect();
        fs::write(&path, lines.concat())?;
        Ok(Self(path))
    }
}

/// Asks the resolver of `joined` for `secs` seconds from its client.
///
/// # Errors
///
/// When dnsperf fails, or an answer is that there is no such name.
pub fn run(joined: &Joined, questions: &Questions, pace: Pace, secs: u32) -> Result<Answered> {
    let resolver = (joined.server_ip, 53).into();
    let mut command = command(joined, resolver, &questions.0, secs);
    if let Pace::PerSec(rate) = pace {
        // Each answer is a line with its time.
        command.args(["-Q", &rate.to_string(), "-v"]);
    }
    let said = expect_success(&mut command, "")?;
    read(&said).with_context(|| format!("dnsperf said {said}"))
}

/// Asks `server` at a pace from the client of `joined` beside something else until what is returned is dropped, for `secs` seconds at most.
///
/// # Errors
///
/// When dnsperf does not start.
pub fn start(
    lab: &Lab,
    joined: &Joined,
    server: SocketAddr,
    questions: &Questions,
    per_sec: u32,
    secs: u32,
) -> Result<Load> {
    let mut command = command(joined, server, &questions.0, secs);
    command.args(["-Q", &per_sec.to_string()]);
    let log = lab.file(format!("dnsperf-{}.log", joined.name));
    let mut load = Background::start(&mut command, &log)?;
    load.line("Sending queries")?;
    Ok(Load(load))
}

impl Load {
    /// Waits for its end, which must not have come yet, and returns how many answers a second it was given.
    ///
    /// # Errors
    ///
    /// When it has ended before what it was beside, or does not say how many.
    pub fn finish(mut self) -> Result<f64> {
        ensure!(
            self.0.is_running()?,
            "dnsperf ended before what it was to run beside"
        );
        let line = self.0.line("Queries per second")?;
        let value = line.split_whitespace().next_back();
        let value = value.and_then(|word| word.parse().ok());
        value.with_context(|| format!("dnsperf said {line}"))
    }
}

fn command(joined: &Joined, server: SocketAddr, questions: &Path, secs: u32) -> Command {
    // By itself it says that it has begun only when it ends, unless somebody looks on.
    let mut command = joined.client.command("stdbuf");
    command.args(["--output=L", "dnsperf"]);
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    command.args(["-s", &ip, "-p", &port, "-d"]);
    command.arg(questions);
    for (option, value) in [
        ("-l", secs),
        ("-c", CLIENT_COUNT),
        ("-q", UNDER_WAY_MAX),
        ("-t", PATIENCE_SECS),
    ] {
        command.args([option, &value.to_string()]);
    }
    // Those who ask for what nobody answers would fill the log.
    command.args(["-O", "suppress=timeout"]);
    command
}

/// Reads what dnsperf prints: `> NOERROR n0.bench A 0.000254` for each answer, and figures at the end.
fn read(said: &str) -> Result<Answered> {
    let mut times = Vec::new();
    let (mut count, mut lost_count, mut per_sec) = (None, None, None);
    for line in said.lines() {
        if let Some(answer) = line.strip_prefix("> ") {
            let mut words = answer.split_whitespace();
            let code = words.next().unwrap_or_default();
            ensure!(code == "NOERROR" || code == "T", "an answer is {answer}");
            let secs = words.next_back().and_then(|word| word.parse::<f64>().ok());
            times.extend(secs.filter(|_| code == "NOERROR"));
            continue;
        }
        let Some((title, value)) = line.split_once(':') else {
            continue;
        };
        let first = value.split_whitespace().next();
        match title.trim() {
            "Queries completed" => count = first.and_then(|word| word.parse().ok()),
            "Queries lost" => lost_count = first.and_then(|word| word.parse().ok()),
            "Queries per second" => per_sec = first.and_then(|word| word.parse().ok()),
            "Response codes" => ensure!(
                first.is_none_or(|code| code == "NOERROR") && !value.contains(','),
                "not all names were found: {value}"
            ),
            _ => {}
        }
    }
    times.sort_by(f64::total_cmp);
    let percentile = |percent: usize| times.get(times.len() * percent / 100).map(|it| it * 1e6);
    Ok(Answered {
        count: count.context("it did not say how many were completed")?,
        lost_count: lost_count.context("it did not say how many were lost")?,
        per_sec: per_sec.context("it did not say the rate")?,
        p50_us: percentile(50),
        p99_us: percentile(99),
    })
}

impl Answered {
    /// Returns the percentage of questions that were not answered.
    pub fn lost_percent(&self) -> f64 {
        let sent = self.count + self.lost_count;
        float(self.lost_count) * 100.0 / float(sent.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
> NOERROR n0.bench A 0.000254
> NOERROR n1.bench A 0.000128
> T n1.bench A 1.000000

Statistics:

  Queries sent:         3
  Queries completed:    2 (66.67%)
  Queries lost:         1 (33.33%)

  Response codes:       NOERROR 2 (100.00%)
  Run time (s):         1.003124
  Queries per second:   1.993771
";

    #[test]
    fn figures_and_times_of_answers_are_read() {
        let answered = read(SAID).unwrap();
        assert_eq!((answered.count, answered.lost_count), (2, 1));
        assert!((answered.per_sec - 1.993_771).abs() < 1e-9);
        assert!((answered.p99_us.unwrap() - 254.0).abs() < 1e-6);
        assert!((answered.lost_percent() - 100.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_name_that_was_not_found_is_an_error() {
        let mixed = SAID.replace(
            "NOERROR 2 (100.00%)",
            "NOERROR 1 (50.00%), NXDOMAIN 1 (50.00%)",
        );
        read(&mixed).unwrap_err();
        read(&SAID.replace("> NOERROR n0", "> SERVFAIL n0")).unwrap_err();
        read("nothing").unwrap_err();
    }
}
