//! How long nothing comes through: a UDP datagram every millisecond, each answered at once, and the longest time between
//! two answers.
//!
//! Both ends are this program again, as those of [`crate::ping_pong`]. Datagrams are sent whether the last one was
//! answered or not: what waits in a queue, and is answered late, is no gap of its own.

use std::env;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tapweave_integration::process::Background;
use tapweave_integration::{Lab, Sandbox};

/// The hidden argument; `serve ADDRESS` or `send ADDRESS MILLISECONDS` follow.
pub const ARGUMENT: &str = "--gap";

const L4_PORT: u16 = 5301;
const INTERVAL: Duration = Duration::from_millis(1);

/// How long the sender waits for the first answer, and for late ones at the end.
const PATIENCE: Duration = Duration::from_millis(500);

/// What one run has seen.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Gap {
    /// The longest time between two answers, in milliseconds.
    pub ms: f64,
    /// When it was over: see [`monotonic`].
    pub end: Duration,
    /// Datagrams that were sent.
    pub sent: u64,
    /// Those that were never answered.
    pub lost: u64,
}

/// A run that is under way.
#[derive(Debug)]
pub struct Run {
    _server: Background,
    client: Background,
}

impl Run {
    /// Starts to send from one sandbox to another, and returns when there are answers. It ends after `time`.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn start(
        lab: &Lab,
        [from, to]: [&Sandbox; 2],
        to_ip: IpAddr,
        time: Duration,
    ) -> Result<Self> {
        let program = env::current_exe()?;
        let program = program
            .to_str()
            .context("the path of this program is no text")?;
        let address = SocketAddr::new(to_ip, L4_PORT).to_string();
        let mut server = to.command(program);
        server.args([ARGUMENT, "serve", &address]);
        let mut server = Background::start(&mut server, &lab.file("gap.server.log"))?;
        server.line("ready")?;
        let mut client = from.command(program);
        client.args([ARGUMENT, "send", &address, &time.as_millis().to_string()]);
        let mut client = Background::start(&mut client, &lab.file("gap.client.log"))?;
        client.line("ready")?;
        Ok(Self {
            _server: server,
            client,
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When there are no answers any more.
    pub fn finish(mut self) -> Result<Gap> {
        let answer = self.client.line("{")?;
        serde_json::from_str(&answer).with_context(|| format!("the sender said {answer}"))
    }
}

/// Returns the time since the machine was started, which is the same for all processes.
#[must_use]
pub fn monotonic() -> Duration {
    // It is never negative.
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// Does what the arguments behind [`ARGUMENT`] say, inside of a sandbox; returns what is to be printed
/// at the end. `say` prints at once.
///
/// # Errors
///
/// When the arguments are wrong or there are no answers.
pub fn run_inside(arguments: &[String], say: impl FnOnce(&str) -> Result<()>) -> Result<String> {
    match arguments {
        [role, address] if role == "serve" => {
            let socket = UdpSocket::bind(address)?;
            say("ready")?;
            let mut datagram = [0; 64];
            loop {
                let (len, from) = socket.recv_from(&mut datagram)?;
                socket.send_to(datagram.get(..len).unwrap_or_default(), from)?;
            }
        }
        [role, address, ms] if role == "send" => {
            let address: SocketAddr = address.parse()?;
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(address)?;
            let time = Duration::from_millis(ms.parse()?);
            Ok(serde_json::to_string(&measure(&socket, time, say)?)?)
        }
        _ => bail!("{ARGUMENT} serve ADDRESS | send ADDRESS MILLISECONDS"),
    }
}

fn measure(
    socket: &UdpSocket,
    time: Duration,
    say: impl FnOnce(&str) -> Result<()>,
) -> Result<Gap> {
    socket.set_read_timeout(Some(PATIENCE))?;
    // So that neighbours know each other.
    socket.send(&[0])?;
    socket.recv(&mut [0; 64]).context("no answer at first")?;
    say("ready")?;
    let end = monotonic() + time;
    let hearing = socket.try_clone()?;
    let hears = thread::spawn(move || hear(&hearing, end));
    let mut sent = 0;
    while monotonic() < end {
        socket.send(&[0])?;
        sent += 1;
        pause();
    }
    let heard = hears.join().ok().context("the receiver has failed")??;
    Ok(Gap {
        sent,
        lost: sent.saturating_sub(heard.count),
        ms: heard.longest.as_secs_f64() * 1e3,
        end: heard.longest_end,
    })
}

#[derive(Default)]
struct Heard {
    count: u64,
    longest: Duration,
    longest_end: Duration,
}

/// Takes answers until `end`, and those that are late.
fn hear(socket: &UdpSocket, end: Duration) -> Result<Heard> {
    let mut heard = Heard::default();
    let mut last = monotonic();
    loop {
        match socket.recv(&mut [0; 64]) {
            Ok(_) => {
                let now = monotonic();
                heard.count += 1;
                let silence = now.saturating_sub(last);
                if now < end && silence > heard.longest {
                    heard.longest = silence;
                    heard.longest_end = now;
                }
                last = now;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if monotonic() > end {
                    ensure!(last + PATIENCE > end, "there are no answers any more");
                    return Ok(heard);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the pace is that of real time")]
fn pause() {
    thread::sleep(INTERVAL);
}
