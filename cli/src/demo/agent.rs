//! The process inside a demo sandbox: it holds the namespace open and makes and answers traffic.
//!
//! The demo starts this program again with a hidden argument; the new process enters namespaces of
//! its own while it still has one thread, says so, and then works off requests, one JSON line each on
//! stdin, one JSON line back on stdout. It ends when its stdin does, so that nothing survives the
//! demo, however that ends. The one that plays the world stays where it is started.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use tapweave_device::enter_fresh_namespace;

use super::traffic;

/// The argument that makes this program an agent.
const ARGUMENT: &str = "__tapweave-demo-agent";
/// What follows it for an agent that stays in the namespace that it is started in.
const STAY: &str = "stay";

/// Where an agent lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Home {
    /// In a network namespace of its own.
    Own,
    /// In that of the demo.
    Shared,
}

/// A request, and who knows the names in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The resolver of the agent's network, once it is in one.
    pub(super) resolver: Option<IpAddr>,
    pub(super) request: Request,
}

/// What the demo asks of an agent. Others are called by their name or their address.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Request {
    /// Sends ICMP echo requests, one after the other.
    Ping { to: String, count: u16 },
    /// Looks for a neighbour on the interface itself, past every route.
    Reach { to: Ipv4Addr },
    /// Sends an ICMP echo request to each at once, by the usual routes.
    PingEach { to: Vec<Ipv4Addr> },
    /// Asks who is called that.
    LookUp { names: Vec<String> },
    /// Connects, and asks who is there and who is seen there.
    Introduce { to: String, port: u16 },
    /// Sends datagrams to be echoed, one after the other.
    UdpEcho { to: String, count: u16, len: usize },
    /// Sends bytes that the receiver hashes.
    TcpHash { to: String, len: u64 },
    /// As `TcpHash`, until `Finish`.
    TcpHashOn { to: String },
    /// Ends what goes on. Has no reply of its own.
    Finish,
    /// Sends as much as it can.
    TcpFlood {
        to: String,
        streams: u8,
        millis: u64,
    },
}

/// What an agent found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reply {
    /// Things sent: packets, datagrams or bytes.
    pub(super) sent: u64,
    /// Things that came back or arrived.
    pub(super) received: u64,
    /// Median round trip, in microseconds.
    pub(super) rtt_us: Option<f64>,
    /// Time that the transfer took, in seconds.
    pub(super) seconds: f64,
    /// Whether what arrived is what was sent.
    pub(super) intact: bool,
    /// Who is called what was asked for, one for each name.
    pub(super) addresses: Vec<Option<Ipv4Addr>>,
    /// Who answered, as it sees itself.
    pub(super) server: Option<SocketAddr>,
    /// Who asked, as the server sees it.
    pub(super) client: Option<SocketAddr>,
}

/// An agent, as the demo sees it. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    resolver: Option<IpAddr>,
}

impl Agent {
    /// Starts a process and waits until it is at home.
    pub(super) fn start(home: Home) -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .args((home == Home::Shared).then_some(STAY))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a process for a sandbox")?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("a new process has no pipes");
        };
        let mut agent = Self {
            child,
            stdin: Some(stdin),
            stdout: BufReader::new(stdout),
            resolver: None,
        };
        agent
            .answer::<()>()
            .context("cannot make a network namespace")?;
        Ok(agent)
    }

    /// Returns the process, whose network namespace is the sandbox.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells who knows the names of its network.
    pub(super) const fn set_resolver(&mut self, resolver: Option<IpAddr>) {
        self.resolver = resolver;
    }

    /// Has the agent do something and waits for what it found.
    pub(super) fn ask(&mut self, request: Request) -> Result<Reply> {
        self.begin(request)?;
        self.answer()
    }

    /// Ends what the agent has begun, and waits for what it found.
    pub(super) fn finish(&mut self) -> Result<Reply> {
        self.begin(Request::Finish)?;
        self.answer()
    }

    /// Has the agent begin something.
    pub(super) fn begin(&mut self, request: Request) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the sandbox has ended")?;
        let resolver = self.resolver;
        let mut line = serde_json::to_string(&Order { resolver, request })?;
        line.push('\n');
        stdin
            .write_all(line.as_bytes())
            .context("the sandbox has ended")
    }

    fn answer<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let answer: Result<T, String> =
            serde_json::from_str(&line).context("the sandbox ended without an answer")?;
        answer.map_err(|message| anyhow!(message))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stdin = None;
        // It may have ended by itself; either way it is reaped.
        let _ignored = self.child.kill();
        let _ignored = self.child.wait();
    }
}

/// Acts as an agent if this process was started as one, and returns how it went. To be called while
/// the process has one thread.
pub(crate) fn run_agent_if_requested() -> Option<ExitCode> {
    let argument = env::args_os().nth(1)?;
    let stays = env::args_os().nth(2).is_some_and(|word| word == STAY);
    let home = if stays { Home::Shared } else { Home::Own };
    (argument == ARGUMENT).then(|| run(home))
}

/// Goes home, serves, and answers requests until stdin ends, even in the middle of one.
fn run(home: Home) -> ExitCode {
    let entered = match home {
        Home::Own => enter_fresh_namespace().map_err(|error| error.to_string()),
        Home::Shared => Ok(()),
    };
    let failed = entered.is_err();
    if say(&entered).is_err() || failed {
        return ExitCode::FAILURE;
    }
    let served = traffic::serve().map_err(|error| format!("{error:#}"));
    let finish = Arc::new(AtomicBool::new(false));
    for line in io::stdin().lines() {
        let (Ok(line), served) = (line, served.clone()) else {
            break;
        };
        let finish = Arc::clone(&finish);
        // This thread goes on waiting for the end of stdin, which ends the process.
        thread::spawn(move || {
            let reply = served.and_then(|()| {
                let order: Order =
                    serde_json::from_str(&line).map_err(|error| error.to_string())?;
                traffic::work(&order, &finish).map_err(|error| format!("{error:#}"))
            });
            if let Some(reply) = reply.transpose() {
                // A demo that is gone needs no answer.
                let _gone = say(&reply);
            }
        });
    }
    ExitCode::SUCCESS
}

fn say<T: Serialize>(answer: &Result<T, String>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, answer)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
