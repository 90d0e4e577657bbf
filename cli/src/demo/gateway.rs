//! The part of the demo that leaves the switch: masquerade, a published port, hairpin, and what must not
//! get through.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};

use super::agent::{Reply, Request};
use super::lab::Lab;
use super::story::{FLOOD_MILLIS, MEBI, Report, address, arrow, gigabits_per_second, round_trip};
use super::traffic::TCP_PORT;
use super::world;

/// Does everything that needs a gateway.
pub(super) fn tell(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let outside = external_address(lab)?;
    masquerade(lab, report, outside)?;
    datagrams(lab, report)?;
    transfer(lab, report)?;
    published(lab, report, outside)?;
    for from in ["alice", "carol"] {
        hairpin(lab, report, from, outside)?;
    }
    no_way_between_networks(lab, report)?;
    report.nat = lab.call(lab.client().nat(None, None))?;
    throughput(lab, report)
}

/// Returns an address under which the sandboxes are seen, and where ports are published.
fn external_address(lab: &Lab) -> Result<Ipv4Addr> {
    let uplink = lab.call(lab.client().stats())?.uplink;
    let v4 = uplink.addresses.iter().find_map(|net| match net.addr() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    });
    v4.context("the uplink has no IPv4 address")
}

/// The server outside must see the uplink's address, and nothing of the sandbox's.
fn masquerade(lab: &mut Lab, report: &mut Report, outside: Ipv4Addr) -> Result<()> {
    let request = Request::Introduce {
        to: world::NAME.to_owned(),
        port: TCP_PORT,
    };
    let own = address(lab, "alice")?;
    let reply = lab.sandbox("alice")?.ask(request)?;
    let is_external = |ip: Ipv4Addr| ip != world::ADDRESS && world::PREFIX.contains(&ip);
    let seen = ip_of(reply.client).filter(|ip| is_external(*ip));
    let found = match seen {
        Some(seen) => format!("the server sees {seen} instead of {own}"),
        None => format!("the server sees {:?}, not {outside}", reply.client),
    };
    report.add(
        "masquerade",
        &arrow("alice", "world"),
        found,
        seen.is_some(),
    );
    Ok(())
}

fn datagrams(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let request = Request::UdpEcho {
        to: world::NAME.to_owned(),
        count: 100,
        len: 1400,
    };
    let reply = lab.sandbox("dave")?.ask(request)?;
    let found = format!(
        "{} of {} echoed{}",
        reply.received,
        reply.sent,
        round_trip(&reply)
    );
    let ok = reply.received == reply.sent && reply.intact;
    report.add("UDP, 1400 bytes", &arrow("dave", "world"), found, ok);
    Ok(())
}

fn transfer(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let request = Request::TcpHash {
        to: world::NAME.to_owned(),
        len: 64 * MEBI,
    };
    let reply = lab.sandbox("alice")?.ask(request)?;
    let verdict = if reply.intact {
        "SHA-256 equal"
    } else {
        "SHA-256 DIFFERS"
    };
    let found = format!("{} MiB arrived, {verdict}", reply.received / MEBI);
    report.add(
        "TCP transfer",
        &arrow("alice", "world"),
        found,
        reply.intact,
    );
    Ok(())
}

/// Bob must be the one who answers, and see who asks.
fn published(lab: &mut Lab, report: &mut Report, outside: Ipv4Addr) -> Result<()> {
    let reply = lab.ask_world(to_published(outside))?;
    let bob = address(lab, "bob")?;
    let ok = ip_of(reply.server) == Some(bob) && ip_of(reply.client) == Some(world::ADDRESS);
    let found = format!("{outside}:{PUBLISHED}: {}", introduction(&reply));
    report.add("published port", &arrow("world", "bob"), found, ok);
    Ok(())
}

/// The way to bob's published port from inside, from his own network and from the other one.
fn hairpin(lab: &mut Lab, report: &mut Report, from: &str, outside: Ipv4Addr) -> Result<()> {
    let reply = lab.sandbox(from)?.ask(to_published(outside))?;
    let ok = ip_of(reply.server) == Some(address(lab, "bob")?);
    let found = format!("{outside}:{PUBLISHED}: {}", introduction(&reply));
    report.add("hairpin", &arrow(from, "bob"), found, ok);
    Ok(())
}

/// Lets a sandbox of one network send to a sandbox and to the gateway of the other by its own gateway,
/// which must answer only for itself.
fn no_way_between_networks(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let (own, other) = (gateway(lab, "blue")?, gateway(lab, "red")?);
    let sandbox = lab.sandbox("alice")?;
    let own = sandbox.ask(Request::PingEach { to: vec![own] })?;
    let carol = address(lab, "carol")?;
    let request = Request::PingEach {
        to: vec![carol, other],
    };
    let reply = lab.sandbox("alice")?.ask(request)?;
    let found = format!(
        "own gateway: {} answer; carol and gateway of red: {}",
        own.received, reply.received
    );
    let ok = own.received == 1 && reply.received == 0;
    report.add("no way around", &arrow("alice", "carol"), found, ok);
    Ok(())
}

fn throughput(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let request = Request::TcpFlood {
        to: world::NAME.to_owned(),
        streams: 1,
        millis: FLOOD_MILLIS,
    };
    let reply = lab.sandbox("alice")?.ask(request)?;
    let found = format!("{:.1} Gb/s", gigabits_per_second(&reply));
    report.add(
        "TCP, 1 stream",
        &arrow("alice", "world"),
        found,
        reply.intact,
    );
    Ok(())
}

/// The port of the uplink that leads to bob.
const PUBLISHED: u16 = 8080;

fn to_published(outside: Ipv4Addr) -> Request {
    Request::Introduce {
        to: outside.to_string(),
        port: PUBLISHED,
    }
}

fn gateway(lab: &Lab, network: &str) -> Result<Ipv4Addr> {
    let mut subnets = lab.network(network)?.ipam.config.iter();
    let v4 = subnets.find_map(|subnet| match subnet.gateway {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    });
    v4.with_context(|| format!("{network} has no IPv4 gateway"))
}

fn introduction(reply: &Reply) -> String {
    let name = |address: Option<SocketAddr>| match address {
        Some(address) => address.ip().to_string(),
        None => "nobody".to_owned(),
    };
    let (server, client) = (name(reply.server), name(reply.client));
    format!("{server} answers, and sees {client}")
}

fn ip_of(address: Option<SocketAddr>) -> Option<Ipv4Addr> {
    match address?.ip() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}
