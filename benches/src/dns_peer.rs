//! A server that other names are asked of, and a client that asks one after the other.
//!
//! Both are this program again, started with a hidden argument. The server is as cheap as one can be: what a
//! resolver adds is the rest. It says nothing to names that begin with `dead`.

use std::convert::Infallible;
use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tapweave_integration::process::{Background, expect_success};
use tapweave_integration::{Lab, Sandbox};

/// The hidden argument; `serve ADDRESS` or `ask ADDRESS MILLISECONDS` follow.
pub const ARGUMENT: &str = "--dns-peer";

/// Where the server is, in the namespace of the resolver.
pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5300);

/// Bytes of a message's header (RFC 1035 §4.1.1).
const HEADER_LEN: usize = 12;

/// The time between two questions: tapweave has others asked 1,000 times a second for one sandbox at most.
const INTERVAL: Duration = Duration::from_millis(2);

/// Questions before those that count.
const WARM_UP_COUNT: u32 = 100;

/// After this a question counts as lost, and the run as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long answers took.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Times {
    /// The median, in microseconds.
    pub p50_us: f64,
}

/// Starts the server beside a resolver.
///
/// # Errors
///
/// When its port is taken.
pub fn start_server(lab: &Lab, host: &Sandbox) -> Result<Background> {
    let mut command = inside(host)?;
    command.args(["serve", &SERVER.to_string()]);
    let log = lab.file(format!("dns-peer-{}.log", host.name()));
    let mut server = Background::start(&mut command, &log)?;
    server.ready()?;
    Ok(server)
}

/// Asks a server for names that nobody has asked for, one every [`INTERVAL`] for `ms` milliseconds.
///
/// # Errors
///
/// When one is not answered, or that there is none.
pub fn ask(from: &Sandbox, server: SocketAddr, ms: u32) -> Result<Times> {
    let mut command = inside(from)?;
    command.args(["ask", &server.to_string(), &ms.to_string()]);
    let answer = expect_success(&mut command, "")?;
    serde_json::from_str(&answer).with_context(|| format!("the client said {answer}"))
}

fn inside(sandbox: &Sandbox) -> Result<process::Command> {
    let program = env::current_exe()?;
    let program = program.to_str();
    let program = program.context("the path of this program is no text")?;
    let mut command = sandbox.command(program);
    command.arg(ARGUMENT);
    Ok(command)
}

/// Does what the arguments behind [`ARGUMENT`] say; returns what is to be printed at the end. `say` prints at
/// once.
///
/// # Errors
///
/// When the arguments are wrong or a question is not answered.
pub fn run_inside(arguments: &[String], say: impl FnOnce(&str) -> Result<()>) -> Result<String> {
    match arguments {
        [role, address] if role == "serve" => {
            let socket = UdpSocket::bind(address)?;
            say("ready")?;
            match serve(&socket)? {}
        }
        [role, address, ms] if role == "ask" => {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            let times = ask_in_turn(&socket, Duration::from_millis(ms.parse()?))?;
            Ok(serde_json::to_string(&times)?)
        }
        _ => bail!("{ARGUMENT} serve ADDRESS | ask ADDRESS MILLISECONDS"),
    }
}

/// Answers until the process is killed.
fn serve(socket: &UdpSocket) -> Result<Infallible> {
    let mut message = [0; 512];
    loop {
        let (len, client) = socket.recv_from(&mut message)?;
        let query = message.get(..len).unwrap_or_default();
        if let Some(answer) = answer(query) {
            socket.send_to(&answer, client)?;
        }
    }
}

/// Returns the query's question with one address as its answer.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let names = query.get(HEADER_LEN..)?;
    if names.get(1..5)? == b"dead" {
        return None;
    }
    // Behind the root label stand type and class.
    let question_len = names.iter().position(|&octet| octet == 0)? + 5;
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend(names.get(..question_len)?);
    // The name of the question, A, IN, a minute, 192.0.2.1.
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    Some(answer)
}

/// Returns the query for the address of a name of two labels.
fn query(id: u16, label: &str) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in [label, "test"] {
        query.extend(u8::try_from(label.len()));
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]
fn ask_in_turn(socket: &UdpSocket, duration: Duration) -> Result<Times> {
    let mut times = Vec::new();
    let end = Instant::now() + duration;
    let mut answer = [0; 1500];
    for number in 0_u32.. {
        if number > WARM_UP_COUNT && Instant::now() > end {
            break;
        }
        let [.., high, low] = number.to_be_bytes();
        thread::sleep(INTERVAL);
        // No process has asked for it before, and so it is in no cache.
        let label = format!("p{}-{number}", process::id());
        let query = query(u16::from_be_bytes([high, low]), &label);
        let start = Instant::now();
        socket.send(&query)?;
        let len = socket.recv(&mut answer).context("waiting for the answer")?;
        let time = start.elapsed();
        let header = answer.get(..len).and_then(|it| it.first_chunk());
        let Some(&[id_high, id_low, _, codes, _, _, _, count]) = header else {
            bail!("an answer of {len} bytes");
        };
        ensure!(
            [id_high, id_low] == [high, low] && codes.trailing_zeros() >= 4 && count > 0,
            "{label} was not found"
        );
        if number >= WARM_UP_COUNT {
            times.push(time);
        }
    }
    times.sort();
    let median = times.get(times.len() / 2).context("nothing was asked")?;
    Ok(Times {
        p50_us: median.as_secs_f64() * 1e6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_with_an_address_and_a_dead_one_is_not() {
        let query = query(0x1234, "p1-7");
        let answer = answer(&query).unwrap();
        assert_eq!(answer[..8], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1]);
        assert_eq!(answer[HEADER_LEN..query.len()], query[HEADER_LEN..]);
        assert_eq!(answer[answer.len() - 4..], [192, 0, 2, 1]);
        assert_eq!(super::answer(&super::query(1, "dead7")), None);
        assert_eq!(super::answer(&query[..HEADER_LEN + 3]), None);
    }
}
