//! The time of a round trip: one UDP datagram at a time, answered at once.
//!
//! Both ends are this program again, started inside of the sandboxes with a hidden argument: a process
//! that waits for a datagram is woken as a real server is, and nothing has to be installed.

use std::env;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tapweave_integration::Lab;
use tapweave_integration::process::{Background, expect_success};

use crate::datapath::{Joined, Way};
use crate::rounds::Rounds;
use crate::series::Summary;

/// The hidden argument; `serve ADDRESS` or `send ADDRESS MILLISECONDS` follow.
pub const ARGUMENT: &str = "--ping-pong";

const L4_PORT: u16 = 5300;
const PAYLOAD_LEN: usize = 64;

/// Round trips before those that count.
const WARM_UP_COUNT: u32 = 200;

/// After this a datagram counts as lost, and the run as failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Round trips over one datapath.
#[derive(Clone, Debug, Serialize)]
pub struct PingPongResult {
    /// Name of the datapath.
    pub datapath: String,
    /// Medians of the runs, in microseconds.
    pub p50_us: Summary,
    /// What the medians are of that of the first datapath in the same round.
    pub p50_ratio: Summary,
    /// 99th percentiles of the runs, in microseconds.
    pub p99_us: Summary,
}

/// Times of the round trips of one run.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct RoundTrips {
    /// The median, in microseconds.
    pub p50_us: f64,
    /// What 99 of 100 do not exceed, in microseconds.
    pub p99_us: f64,
    /// Payload that went one way, in bytes.
    pub payload_len: u64,
}

/// Measures round trips over all datapaths.
///
/// # Errors
///
/// When a datagram is lost or went another way.
pub fn measure(rounds: &mut Rounds<'_>, lab: &Lab) -> Result<Vec<PingPongResult>> {
    let ms = rounds.plan().ping_pong_ms;
    let series = rounds.take(|joined| {
        let work = || run(lab, joined, ms);
        joined.prove_carried(Way::Up, work, |trips| trips.payload_len)
    })?;
    let result = |(place, joined): (usize, &Joined)| {
        Some(PingPongResult {
            datapath: joined.name.clone(),
            p50_us: series.summary(place, |run| run.p50_us)?,
            p50_ratio: series.ratio(place, |run| run.p50_us)?,
            p99_us: series.summary(place, |run| run.p99_us)?,
        })
    };
    let datapaths = rounds.datapaths().iter().enumerate();
    Ok(datapaths.filter_map(result).collect())
}

/// Makes round trips between the sandboxes of a datapath for `ms` milliseconds.
fn run(lab: &Lab, joined: &Joined, ms: u32) -> Result<RoundTrips> {
    let program = env::current_exe()?;
    let program = program
        .to_str()
        .context("the path of this program is no text")?;
    let address = SocketAddr::new(joined.server_ip, L4_PORT).to_string();
    let mut server = joined.server.command(program);
    server.args([ARGUMENT, "serve", &address]);
    let log = lab.file(format!("ping-pong-{}.log", joined.name));
    let mut server = Background::start(&mut server, &log)?;
    server.line("ready")?;
    let mut client = joined.client.command(program);
    client.args([ARGUMENT, "send", &address, &ms.to_string()]);
    let answer = expect_success(&mut client, "")?;
    serde_json::from_str(&answer).with_context(|| format!("the sender said {answer}"))
}

/// Does what the arguments behind [`ARGUMENT`] say, inside of a sandbox; returns what is to be printed
/// at the end. `say` prints at once.
///
/// # Errors
///
/// When the arguments are wrong or a datagram is lost.
pub fn run_inside(arguments: &[String], say: impl FnOnce(&str) -> Result<()>) -> Result<String> {
    match arguments {
        [role, address] if role == "serve" => {
            let socket = UdpSocket::bind(address)?;
            say("ready")?;
            serve(&socket)
        }
        [role, address, ms] if role == "send" => {
            let address: SocketAddr = address.parse()?;
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(serde_json::to_string(&send(
                &socket,
                Duration::from_millis(ms.parse()?),
            )?)?)
        }
        _ => bail!("{ARGUMENT} serve ADDRESS | send ADDRESS MILLISECONDS"),
    }
}

/// Answers until the process is killed.
fn serve(socket: &UdpSocket) -> Result<String> {
    let mut datagram = [0; PAYLOAD_LEN];
    loop {
        let (len, from) = socket.recv_from(&mut datagram)?;
        socket.send_to(datagram.get(..len).unwrap_or_default(), from)?;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]
fn send(socket: &UdpSocket, duration: Duration) -> Result<RoundTrips> {
    let mut times = Vec::new();
    let end = Instant::now() + duration;
    for number in 0.. {
        if number > WARM_UP_COUNT && Instant::now() > end {
            break;
        }
        let mut datagram = [0xa5; PAYLOAD_LEN];
        datagram[..4].copy_from_slice(&u32::to_be_bytes(number));
        let mut answer = [0; PAYLOAD_LEN];
        let start = Instant::now();
        socket.send(&datagram)?;
        let len = socket.recv(&mut answer).context("waiting for the answer")?;
        let time = start.elapsed();
        ensure!(
            answer.get(..len) == Some(&datagram),
            "the answer is not what was sent"
        );
        if number >= WARM_UP_COUNT {
            times.push(time);
        }
    }
    times.sort();
    let percentile = |percent: usize| {
        let time = times.get(times.len() * percent / 100);
        time.map(|time| time.as_secs_f64() * 1e6)
            .context("no round trip was made")
    };
    Ok(RoundTrips {
        p50_us: percentile(50)?,
        p99_us: percentile(99)?,
        payload_len: (times.len() * PAYLOAD_LEN) as u64,
    })
}
