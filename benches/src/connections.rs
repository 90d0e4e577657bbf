//! New connections a second: short TCP connections, one after the other, from several threads.
//!
//! A connection carries one request and one answer, then the server closes it. Both ends are this
//! program again, started inside of the sandboxes with a hidden argument. The server has several ports, so
//! that neither end runs out of pairs of ports while old ones wait (RFC 9293 §3.6.1).

use std::convert::Infallible;
use std::env;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tapweave_integration::process::{Background, expect_success};
use tapweave_integration::{Lab, Sandbox};

use crate::cost::{Cost, CostMeter};
use crate::datapath::{Joined, Way};
use crate::rate::float;
use crate::rounds::Rounds;
use crate::series::Summary;

/// The hidden argument; `serve IP` or `open IP MILLISECONDS` follow.
pub const ARGUMENT: &str = "--connections";

/// The server's first port; each of the client's threads has one.
const FIRST_L4_PORT: u16 = 5400;

/// Threads of each end: enough to keep two cores busy while each waits for answers.
const THREAD_COUNT: u16 = 8;

const REQUEST: [u8; 64] = [0xa5; 64];

/// Connections over one datapath.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionsResult {
    /// Name of the datapath.
    pub datapath: String,
    /// Connections that were opened, answered and closed, in thousands a second.
    pub thousand_per_sec: Summary,
    /// What that is of what the first datapath reached in the same round.
    pub ratio: Summary,
    /// Processor milliseconds of the switch's processes for a thousand connections, if it has any.
    pub switch_ms_per_thousand: Option<Summary>,
    /// Processor milliseconds of the whole machine for a thousand connections.
    pub machine_ms_per_thousand: Summary,
}

/// What the client tells of a run.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Opened {
    count: u64,
    secs: f64,
}

struct Run {
    opened: Opened,
    cost: Cost,
}

impl Run {
    fn thousand_per_sec(&self) -> f64 {
        float(self.opened.count) / self.opened.secs / 1e3
    }

    fn ms_per_thousand(&self, secs: f64) -> f64 {
        secs * 1e6 / float(self.opened.count)
    }
}

/// Measures connections over all datapaths.
///
/// # Errors
///
/// When a connection fails or the traffic went another way.
pub fn measure(rounds: &mut Rounds<'_>, lab: &Lab) -> Result<Vec<ConnectionsResult>> {
    let datapaths = rounds.datapaths();
    let servers = datapaths.iter().map(|joined| start_server(lab, joined));
    let _servers = servers.collect::<Result<Vec<_>>>()?;
    let ms = rounds.plan().connections_ms;
    let series = rounds.take(|joined| run(joined, ms))?;
    let result = |(place, joined): (usize, &Joined)| {
        Some(ConnectionsResult {
            datapath: joined.name.clone(),
            thousand_per_sec: series.summary(place, Run::thousand_per_sec)?,
            ratio: series.ratio(place, Run::thousand_per_sec)?,
            switch_ms_per_thousand: series.summary_of(place, |run| {
                Some(run.ms_per_thousand(run.cost.switch_secs?))
            }),
            machine_ms_per_thousand: series
                .summary(place, |run| run.ms_per_thousand(run.cost.machine_secs))?,
        })
    };
    Ok(datapaths.iter().enumerate().filter_map(result).collect())
}

fn run(joined: &Joined, ms: u32) -> Result<Run> {
    let meter = CostMeter::start(joined.switch())?;
    let work = || open_from(&joined.client, joined.server_ip, ms);
    let opened =
        joined.prove_carried(Way::Up, work, |opened| opened.count * REQUEST.len() as u64)?;
    let cost = meter.stop()?;
    Ok(Run { opened, cost })
}

fn start_server(lab: &Lab, joined: &Joined) -> Result<Background> {
    let mut command = inside(&joined.server)?;
    command.args(["serve", &joined.server_ip.to_string()]);
    let log = lab.file(format!("connections-{}.log", joined.name));
    let mut server = Background::start(&mut command, &log)?;
    server.line("ready")?;
    Ok(server)
}

fn open_from(client: &Sandbox, server_ip: IpAddr, ms: u32) -> Result<Opened> {
    let mut command = inside(client)?;
    command.args(["open", &server_ip.to_string(), &ms.to_string()]);
    let answer = expect_success(&mut command, "")?;
    serde_json::from_str(&answer).with_context(|| format!("the client said {answer}"))
}

fn inside(sandbox: &Sandbox) -> Result<std::process::Command> {
    let program = env::current_exe()?;
    let program = program
        .to_str()
        .context("the path of this program is no text")?;
    let mut command = sandbox.command(program);
    command.arg(ARGUMENT);
    Ok(command)
}

/// Does what the arguments behind [`ARGUMENT`] say, inside of a sandbox; returns what is to be printed
/// at the end. `say` prints at once.
///
/// # Errors
///
/// When the arguments are wrong or a connection fails.
pub fn run_inside(arguments: &[String], say: impl FnOnce(&str) -> Result<()>) -> Result<String> {
    match arguments {
        [role, ip] if role == "serve" => {
            let listeners = addresses(ip)?.map(TcpListener::bind);
            let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
            say("ready")?;
            in_threads(&listeners, serve)?;
            Ok(String::new())
        }
        [role, ip, ms] if role == "open" => {
            let time = Duration::from_millis(ms.parse()?);
            Ok(serde_json::to_string(&open(addresses(ip)?, time)?)?)
        }
        _ => bail!("{ARGUMENT} serve IP | open IP MILLISECONDS"),
    }
}

fn addresses(ip: &str) -> Result<impl Iterator<Item = SocketAddr>> {
    let ip: IpAddr = ip.parse()?;
    let ports = FIRST_L4_PORT..FIRST_L4_PORT + THREAD_COUNT;
    Ok(ports.map(move |port| SocketAddr::new(ip, port)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]
fn open(addresses: impl Iterator<Item = SocketAddr>, time: Duration) -> Result<Opened> {
    let start = Instant::now();
    let end = start + time;
    let addresses: Vec<_> = addresses.collect();
    let counts = in_threads(&addresses, |&address| {
        let mut count = 0;
        while Instant::now() < end {
            ask(address).with_context(|| format!("connection {count} to {address}"))?;
            count += 1;
        }
        Ok(count)
    })?;
    Ok(Opened {
        count: counts.into_iter().sum(),
        secs: start.elapsed().as_secs_f64(),
    })
}

fn ask(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&REQUEST)?;
    let mut answer = Vec::with_capacity(REQUEST.len());
    stream.read_to_end(&mut answer)?;
    ensure!(answer == REQUEST, "the answer is not the request");
    Ok(())
}

/// Answers until the process is killed.
fn serve(listener: &TcpListener) -> Result<Infallible> {
    loop {
        let (peer, _) = listener.accept()?;
        // A client that gave up says so itself.
        let _ = answer(peer);
    }
}

fn answer(mut peer: TcpStream) -> std::io::Result<()> {
    let mut request = [0; REQUEST.len()];
    peer.read_exact(&mut request)?;
    peer.write_all(&request)
}

/// Runs `work` on each of `items` in a thread of its own; returns what all gave.
fn in_threads<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let work = &work;
    thread::scope(|scope| {
        let threads = items.iter().map(|item| scope.spawn(move || work(item)));
        let threads: Vec<_> = threads.collect();
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a thread panicked"),
        });
        results.collect()
    })
}
