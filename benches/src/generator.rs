//! A cheap sender, and a receiver that costs nothing: a switch's rate, not an application's.
//!
//! Both are this program again, started inside of the sandboxes with a hidden argument. The sender
//! writes the frames of a [`Mix`] to a packet socket as fast as the interface takes them; the receiver
//! holds a socket, so that the kernel does not answer with ICMP, and never reads it.

use std::env;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use anyhow::{Context, Result, bail};
use clap::ValueEnum as _;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::Value;
use tapweave_integration::process::Background;
use tapweave_integration::{Lab, Sandbox};
use tapweave_net::MacAddr;

use crate::datapath::Joined;
use crate::mix::{Mix, Route, SINK_L4_PORT};
use crate::packet_socket::PacketSocket;

/// The hidden argument; `sink ADDRESS` or `send MIX MAC MAC ADDRESS` follow.
pub const ARGUMENT: &str = "--generator";

/// Interface of every sandbox.
const IFNAME: &str = "eth0";

/// Starts the receiver at a datapath's far end.
///
/// # Errors
///
/// When the address is taken.
pub fn start_sink(lab: &Lab, joined: &Joined) -> Result<Background> {
    let arguments = ["sink", &joined.server_ip.to_string()];
    start(lab, &joined.server, &arguments, "sink")
}

/// Starts the sender at a datapath's near end; it sends until it is dropped.
///
/// # Errors
///
/// When the interface does not take frames.
pub fn start_sender(lab: &Lab, joined: &Joined, mix: Mix) -> Result<Background> {
    let name = mix.to_possible_value().context("every mix has a name")?;
    let arguments = [
        "send",
        name.get_name(),
        &mac(&joined.client)?.to_string(),
        &next_hop(&joined.client, joined.server_ip)?.to_string(),
        &joined.server_ip.to_string(),
    ];
    start(lab, &joined.client, &arguments, "sender")
}

/// Does what the arguments behind [`ARGUMENT`] say, inside of a sandbox, until the process is killed or
/// its stdin ends. `say` prints at once.
///
/// # Errors
///
/// When the arguments are wrong or the kernel refuses.
pub fn run_inside(arguments: &[String], say: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    match arguments {
        [role, ip] if role == "sink" => sink(ip.parse()?, say),
        [role, mix, source, destination, ip] if role == "send" => {
            let destination_ip = ip.parse()?;
            let route = Route {
                source_mac: source.parse::<MacAddr>()?.octets(),
                destination_mac: destination.parse::<MacAddr>()?.octets(),
                source_ip: source_ip(destination_ip)?,
                destination_ip,
            };
            let mix = Mix::from_str(mix, false).map_err(anyhow::Error::msg)?;
            let frames = mix.frames(route)?;
            let socket = PacketSocket::open(IFNAME)?;
            say("ready")?;
            match socket.repeat(&frames)? {}
        }
        _ => bail!("{ARGUMENT} sink ADDRESS | send MIX MAC MAC ADDRESS"),
    }
}

fn start(lab: &Lab, sandbox: &Sandbox, arguments: &[&str], role: &str) -> Result<Background> {
    let program = env::current_exe()?;
    let program = program
        .to_str()
        .context("the path of this program is no text")?;
    let mut command = sandbox.command(program);
    command.arg(ARGUMENT).args(arguments);
    let log = lab.file(format!("{role}-{}.log", sandbox.name()));
    let mut process = Background::start(&mut command, &log)?;
    process.line("ready")?;
    Ok(process)
}

fn sink(ip: IpAddr, say: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let socket = UdpSocket::bind((ip, SINK_L4_PORT))?;
    // The kernel makes it the least that it allows.
    set_socket_recv_buffer_size(&socket, 0)?;
    say("ready")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The address that the kernel sends to `destination` from.
fn source_ip(destination: Ipv4Addr) -> Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((destination, SINK_L4_PORT))?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(ip) => Ok(ip),
        IpAddr::V6(ip) => bail!("{ip} is no IPv4 address"),
    }
}

/// The MAC address that `sandbox` sends to on the way to `destination`: that one's own, or that of the
/// gateway. They must have talked to each other.
fn next_hop(sandbox: &Sandbox, destination: IpAddr) -> Result<MacAddr> {
    let routes = sandbox.ip(&format!("-json route get {destination}"))?;
    let routes: Value = serde_json::from_str(&routes)?;
    let gateway = routes[0]["gateway"].as_str().map(str::to_owned);
    let neighbour = gateway.unwrap_or_else(|| destination.to_string());
    let said = sandbox.ip(&format!("-json neighbour show to {neighbour} dev {IFNAME}"))?;
    let neighbours: Value = serde_json::from_str(&said)?;
    let mac = neighbours[0]["lladdr"].as_str();
    let mac = mac.with_context(|| format!("the MAC address of {neighbour} is not known"))?;
    Ok(mac.parse()?)
}

fn mac(sandbox: &Sandbox) -> Result<MacAddr> {
    let links = sandbox.links()?;
    let link = links.iter().find(|link| link["ifname"] == IFNAME);
    let mac = link.and_then(|link| link["address"].as_str());
    Ok(mac.context("the sandbox has no interface")?.parse()?)
}
