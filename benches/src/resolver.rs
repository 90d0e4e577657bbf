//! The resolvers that are compared: each answers a sandbox for names of its network, and asks a server in the
//! host for others.
//!
//! ```text
//!   client --- resolver at the gateway, in the host --- server at 127.0.0.1 of the host
//!   a, b       two sandboxes on the same switch, for traffic beside
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use tapweave_integration::kernel::thread_ticks;
use tapweave_integration::process::Background;
use tapweave_integration::{Daemon, Lab, Sandbox, cli, traffic, world};

use crate::datapath::tapweave::{self, NETWORK};
use crate::datapath::{self, Build, Carried, Joined, Switch};
use crate::dns_peer;

/// Names that each resolver knows.
const NAME_COUNT: u8 = 16;

/// Where dnsmasq answers.
const DNSMASQ_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 193, 5, 1));

/// The host's end of the client's veth pair.
const INSIDE: &str = "inside";

/// A resolver that can be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Kind {
    /// dnsmasq in the host behind a veth pair, which everything is measured against; beside it the kernel's
    /// bridge
    Dnsmasq,
    /// A tapweave daemon's, at the gateway
    Tapweave,
    /// That of another build of tapweave, or one with other options: `--tapweave`, `--options`
    Other,
}

/// A resolver with a client, and two sandboxes beside.
#[derive(Debug)]
pub struct Resolving {
    /// The client, the host as the server, and the resolver's address.
    pub resolver: Joined,
    /// The sandboxes beside.
    pub beside: Joined,
    /// What other names are asked of.
    pub server: Background,
}

/// A running dnsmasq.
#[derive(Debug)]
struct Dnsmasq(Background);

/// A tapweave daemon with a network.
#[derive(Clone, Debug)]
struct Tapweave(Rc<Daemon>);

impl Kind {
    /// Those that show that the benchmark works.
    pub const SMOKE: [Self; 1] = [Self::Tapweave];

    /// Joins a new sandbox to a new resolver; returns nothing where it is not installed. `other` is what
    /// [`Kind::Other`] stands for.
    ///
    /// # Errors
    ///
    /// When the resolver is installed and does not work.
    pub fn join(self, lab: &Lab, other: &Build) -> Result<Option<Resolving>> {
        if self == Self::Dnsmasq && Command::new("dnsmasq").arg("--version").output().is_err() {
            return Ok(None);
        }
        let name = self.name();
        let place = |end: &str| lab.sandbox(&format!("dns-{name}-{end}"));
        let (client, host) = (place("client")?, place("host")?);
        host.ip("link set lo up")?;
        let server = dns_peer::start_server(lab, &host)?;
        let (resolver, beside) = match self {
            Self::Dnsmasq => dnsmasq(lab, client, host)?,
            Self::Tapweave => tapweave(
                lab,
                name,
                &Build::default(),
                client,
                host,
                [place("a")?, place("b")?],
            )?,
            Self::Other => tapweave(lab, name, other, client, host, [place("a")?, place("b")?])?,
        };
        traffic::ping_soon(&resolver.client, resolver.server_ip)?;
        Ok(Some(Resolving {
            resolver,
            beside,
            server,
        }))
    }

    /// Returns the name of the resolver.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dnsmasq => "dnsmasq",
            Self::Tapweave => "tapweave",
            Self::Other => "other",
        }
    }
}

/// Returns the names that each resolver knows, without their domain.
fn known_labels() -> impl Iterator<Item = String> {
    (0..NAME_COUNT).map(|number| format!("n{number}"))
}

/// Returns the names that each resolver knows.
pub fn known_names() -> impl Iterator<Item = String> {
    known_labels().map(|label| format!("{label}.{NETWORK}"))
}

/// Returns names that nobody answers for.
pub fn dead_names() -> impl Iterator<Item = String> {
    (0..1000).map(|number| format!("dead{number}.test"))
}

fn dnsmasq(lab: &Lab, client: Sandbox, host: Sandbox) -> Result<(Joined, Joined)> {
    let name = Kind::Dnsmasq.name();
    world::join(&host, INSIDE, &format!("{DNSMASQ_IP}/24"), &client)?;
    world::address(&client, world::UPLINK, "10.193.5.2/24")?;
    let mut command = host.command("dnsmasq");
    // As a daemon it would change its groups, which a user namespace refuses.
    command.args(["--no-daemon", "--conf-file=/dev/null", "--bind-interfaces"]);
    // Those that nobody answers would take all places.
    command.args([
        "--no-resolv",
        "--no-hosts",
        "--cache-size=2048",
        "--dns-forward-max=1024",
    ]);
    command.arg(format!("--listen-address={DNSMASQ_IP}"));
    let server = dns_peer::SERVER;
    command.arg(format!("--server={}#{}", server.ip(), server.port()));
    for known in known_names() {
        command.arg(format!("--host-record={known},10.193.5.2"));
    }
    let mut process = Background::start(&mut command, &lab.file("dnsmasq.log"))?;
    process.line("started")?;
    let beside = datapath::Kind::Kernel.join(lab, &Build::default())?;
    let beside = beside.context("the kernel has no bridge")?;
    let resolver = Joined {
        name: name.to_owned(),
        client,
        server: host,
        server_ip: DNSMASQ_IP,
        switch: Box::new(Dnsmasq(process)),
    };
    let name = name.to_owned();
    Ok((resolver, Joined { name, ..beside }))
}

fn tapweave(
    lab: &Lab,
    name: &str,
    build: &Build,
    client: Sandbox,
    host: Sandbox,
    [a, b]: [Sandbox; 2],
) -> Result<(Joined, Joined)> {
    let program = build.program.clone().map_or_else(cli::binary, Ok)?;
    let program = program.to_str().context("tapweave's path is no text")?;
    let daemon = Daemon::under(
        host.command(program),
        &format!("--dns {} {}", dns_peer::SERVER, build.options),
        &lab.file(format!("dns-{name}.sock")),
        &lab.file(format!("dns-{name}.log")),
    )?;
    let cli = daemon.cli();
    cli.ok(&format!("network create {NETWORK} --subnet 10.193.2.0/24"))?;
    for label in known_labels() {
        cli.ok(&format!("dns add {NETWORK} {label} 10.193.2.200"))?;
    }
    for sandbox in [&client, &a] {
        cli.connect(NETWORK, sandbox, "")?;
    }
    let server_ip = cli.connect(NETWORK, &b, "")?.ipv4()?;
    let switch = Tapweave(Rc::new(daemon));
    let joined = |client, server, server_ip| Joined {
        name: name.to_owned(),
        client,
        server,
        server_ip,
        switch: Box::new(switch.clone()),
    };
    let gateway = Ipv4Addr::new(10, 193, 2, 1).into();
    Ok((joined(client, host, gateway), joined(a, b, server_ip)))
}

impl Switch for Dnsmasq {
    fn carried(&self, client: &Sandbox) -> Result<Carried> {
        let (down_len, up_len) = client.carried_len(world::UPLINK)?;
        Ok(Carried { up_len, down_len })
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.0.pid()]
    }
}

impl Switch for Tapweave {
    fn carried(&self, client: &Sandbox) -> Result<Carried> {
        tapweave::carried(&self.0, client)
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.0.pid()]
    }
}

/// Returns the processor time of the threads that move frames, in clock ticks; nothing where the kernel does.
///
/// # Errors
///
/// When a process has ended.
pub fn worker_ticks(switch: &dyn Switch) -> Result<Option<u64>> {
    let pids = switch.pids();
    if pids.is_empty() {
        return Ok(None);
    }
    let ticks = pids.into_iter().map(|pid| thread_ticks(pid, "worker"));
    ticks.sum::<Result<u64>>().map(Some)
}
