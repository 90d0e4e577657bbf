//! What the demo does, step by step, and how it knows that each step worked.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tapweave_control::api::{Endpoint, FdbEntryView, FdbKind, NatFlowView, PeerView, Port};

use super::agent::{Reply, Request};
use super::host::HostName;
use super::lab::{Lab, Sandbox};
use super::stopwatch::Stopwatch;
use super::{gateway, overlay, takeover, world};

pub(super) const MEBI: u64 = 1024 * 1024;
/// How long each throughput is measured.
pub(super) const FLOOD_MILLIS: u64 = 1_000;
/// How long a sandbox that ended may stay known.
const END_LIMIT: Duration = Duration::from_secs(1);

/// What the demo saw.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) networks: Vec<NetworkLine>,
    pub(super) steps: Vec<Step>,
    /// The table of east.
    pub(super) fdb: Vec<FdbEntryView>,
    /// Who takes part in the overlay, as east sees it.
    pub(super) peers: Vec<PeerView>,
    /// Those of both hosts.
    pub(super) ports: Vec<Port>,
    /// What east translates.
    pub(super) nat: Vec<NatFlowView>,
}

/// A network, as the page draws it.
#[derive(Debug, Serialize)]
pub(super) struct NetworkLine {
    pub(super) name: String,
    pub(super) subnets: Vec<String>,
    pub(super) endpoints: Vec<Place>,
}

/// A sandbox in a network.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    pub(super) host: HostName,
    #[serde(flatten)]
    pub(super) endpoint: Endpoint,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// What was tried.
    pub(super) what: &'static str,
    /// Between whom.
    pub(super) way: String,
    /// What came out.
    pub(super) found: String,
    /// Whether that is what should have come out.
    pub(super) ok: bool,
}

impl Report {
    pub(super) fn is_all_well(&self) -> bool {
        self.steps.iter().all(|step| step.ok)
    }

    pub(super) fn add(&mut self, what: &'static str, way: &str, found: String, ok: bool) {
        self.steps.push(Step {
            what,
            way: way.to_owned(),
            found,
            ok,
        });
    }
}

/// Does everything for which all sandboxes are needed.
pub(super) fn tell(lab: &mut Lab) -> Result<Report> {
    let mut report = Report {
        networks: network_lines(lab),
        steps: Vec::new(),
        fdb: Vec::new(),
        peers: Vec::new(),
        ports: Vec::new(),
        nat: Vec::new(),
    };
    connected(lab, &mut report);
    names(lab, &mut report)?;
    for (from, to) in [("alice", "bob"), ("carol", "dave")] {
        ping(lab, &mut report, from, to)?;
    }
    datagrams(lab, &mut report, "bob", "alice")?;
    for (from, to) in [("alice", "bob"), ("dave", "carol")] {
        transfer(lab, &mut report, from, to)?;
    }
    overlay::tell(lab, &mut report)?;
    learning(lab, &mut report)?;
    isolation(lab, &mut report)?;
    gateway::tell(lab, &mut report)?;
    for streams in [1, 4] {
        throughput(
            lab,
            &mut report,
            ("alice", "bob"),
            streams,
            received_from_alice,
        )?;
    }
    for host in [HostName::East, HostName::West] {
        let ports = lab.call(lab.client_of(host).ports(None))?;
        report.ports.extend(ports);
    }
    takeover::tell(lab, &mut report)?;
    Ok(report)
}

/// Ends one sandbox and sees the switch notice.
pub(super) fn end_a_sandbox(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let stopwatch = Stopwatch::start();
    lab.sandbox("dave")?.end();
    let mut is_gone = false;
    while !is_gone && stopwatch.elapsed() < END_LIMIT {
        lab.pause();
        let sandboxes = lab.call(lab.client().sandboxes())?;
        is_gone = !sandboxes
            .iter()
            .any(|sandbox| sandbox.name.as_str() == "dave");
    }
    let found = if is_gone {
        format!(
            "port and addresses freed after {} ms",
            stopwatch.elapsed().as_millis()
        )
    } else {
        format!("still known after {END_LIMIT:?}")
    };
    report.add("sandbox ends", "dave", found, is_gone);
    Ok(())
}

/// Takes everything down.
pub(super) fn stop(lab: Lab, report: &mut Report) -> Result<()> {
    let count = lab.sandboxes.len();
    lab.stop()?;
    let found = format!("daemons stopped; {count} sandboxes, sockets and folders removed");
    report.add("clean up", "", found, true);
    Ok(())
}

fn network_lines(lab: &Lab) -> Vec<NetworkLine> {
    let line = |network: &tapweave_control::api::NetworkInspect| {
        let is_in = |sandbox: &&Sandbox| sandbox.endpoint.network == network.name;
        let place = |sandbox: &Sandbox| Place {
            host: sandbox.host,
            endpoint: sandbox.endpoint.clone(),
        };
        NetworkLine {
            name: network.name.to_string(),
            subnets: network
                .ipam
                .config
                .iter()
                .map(|config| config.subnet.to_string())
                .collect(),
            endpoints: lab.sandboxes.iter().filter(is_in).map(place).collect(),
        }
    };
    lab.networks.iter().map(line).collect()
}

fn connected(lab: &Lab, report: &mut Report) {
    let slowest = lab
        .sandboxes
        .iter()
        .map(|sandbox| sandbox.connect_time)
        .max();
    let millis = slowest.unwrap_or_default().as_secs_f64() * 1e3;
    let found = format!(
        "an eth0 in each of {}, {millis:.1} ms at most",
        lab.sandboxes.len()
    );
    report.add("connect", "", found, true);
}

/// Alice must find who is in her network, and the world, and nobody of the other network.
fn names(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let asked = ["bob", world::NAME, "carol"];
    let request = Request::LookUp {
        names: asked.map(str::to_owned).to_vec(),
    };
    let expected = [Some(address(lab, "bob")?), Some(world::ADDRESS), None];
    let reply = lab.sandbox("alice")?.ask(request)?;
    let found = asked.iter().zip(&reply.addresses);
    let found = found.map(|(name, address)| match address {
        Some(address) => format!("{name} is {address}"),
        None => format!("no {name} in blue"),
    });
    let found: Vec<_> = found.collect();
    let ok = reply.addresses == expected;
    report.add("names", "alice", found.join(", "), ok);
    Ok(())
}

pub(super) fn ping(lab: &mut Lab, report: &mut Report, from: &str, to: &str) -> Result<()> {
    let request = Request::Ping {
        to: to.to_owned(),
        count: 10,
    };
    let reply = lab.sandbox(from)?.ask(request)?;
    let found = format!(
        "{} of {} answered{}",
        reply.received,
        reply.sent,
        round_trip(&reply)
    );
    report.add(
        "ICMP echo",
        &arrow(from, to),
        found,
        reply.received == reply.sent,
    );
    Ok(())
}

pub(super) fn datagrams(lab: &mut Lab, report: &mut Report, from: &str, to: &str) -> Result<()> {
    let request = Request::UdpEcho {
        to: to.to_owned(),
        count: 200,
        len: 1400,
    };
    let reply = lab.sandbox(from)?.ask(request)?;
    let found = format!(
        "{} of {} echoed{}",
        reply.received,
        reply.sent,
        round_trip(&reply)
    );
    let ok = reply.received == reply.sent && reply.intact;
    report.add("UDP, 1400 bytes", &arrow(from, to), found, ok);
    Ok(())
}

pub(super) fn transfer(lab: &mut Lab, report: &mut Report, from: &str, to: &str) -> Result<()> {
    let request = Request::TcpHash {
        to: to.to_owned(),
        len: 64 * MEBI,
    };
    let reply = lab.sandbox(from)?.ask(request)?;
    let verdict = if reply.intact {
        "SHA-256 equal"
    } else {
        "SHA-256 DIFFERS"
    };
    let found = format!("{} MiB arrived, {verdict}", reply.received / MEBI);
    report.add("TCP transfer", &arrow(from, to), found, reply.intact);
    Ok(())
}

fn learning(lab: &Lab, report: &mut Report) -> Result<()> {
    report.fdb = lab.call(lab.client().fdb(None))?;
    let is_learned = |endpoint: &Endpoint| {
        let at_its_port = |entry: &&FdbEntryView| {
            entry.mac == endpoint.mac
                && entry.port.as_ref() == Some(&endpoint.port)
                && entry.kind == FdbKind::Learned
        };
        report.fdb.iter().filter(at_its_port).count() == 1
    };
    let sandboxes = lab.sandboxes.iter();
    let of_east = sandboxes.filter(|sandbox| sandbox.host == HostName::East);
    let (learned, missed): (Vec<_>, Vec<_>) =
        of_east.partition(|sandbox| is_learned(&sandbox.endpoint));
    let found = format!("{} MACs learned, each at its port", learned.len());
    report.add("learning", "east", found, missed.is_empty());
    Ok(())
}

/// Lets a sandbox of one network look for one of the other, past all routes, so that the frames really
/// enter the switch; nobody may answer, and nothing may come out at the other network's ports.
fn isolation(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let request = Request::Reach {
        to: address(lab, "carol")?,
    };
    let reply = lab.sandbox("alice")?.ask(request)?;
    let leaked = leaked_into(lab, "red")?;
    let found = match (reply.received, leaked) {
        (0, 0) => "asked for on the wire, no answer; 0 frames into red".to_owned(),
        (answers, _) => format!("{answers} answers, {leaked} frames into red"),
    };
    report.add(
        "isolation",
        &arrow("alice", "carol"),
        found,
        reply.received == 0 && leaked == 0,
    );
    Ok(())
}

/// Returns how many frames came out of a network's ports that did not go in there. In a network of two
/// sandboxes each frame that goes in at one port comes out at the other, their kernels' own included.
fn leaked_into(lab: &Lab, network: &str) -> Result<u64> {
    let mut leaked = 0;
    // A frame that passes between the readings of two ports looks like a leak until the next reading.
    for _ in 0..5 {
        let ports = lab.call(lab.client().ports(Some(network)))?;
        let received: u64 = ports.iter().map(|port| port.counters.rx_frames).sum();
        let sent: u64 = ports.iter().map(|port| port.counters.tx_frames).sum();
        leaked = sent.saturating_sub(received);
        if leaked == 0 {
            break;
        }
        lab.pause();
    }
    Ok(leaked)
}

/// Measures TCP from one sandbox to another. `counted` tells the bytes that went the way they should, which the
/// payload must be among.
pub(super) fn throughput(
    lab: &mut Lab,
    report: &mut Report,
    (from, to): (&str, &str),
    streams: u8,
    counted: impl Fn(&Lab) -> Result<u64>,
) -> Result<()> {
    let request = Request::TcpFlood {
        to: to.to_owned(),
        streams,
        millis: FLOOD_MILLIS,
    };
    let before = counted(lab)?;
    let reply = lab.sandbox(from)?.ask(request)?;
    let went_that_way = counted(lab)? - before;
    let ok = reply.intact && went_that_way >= reply.received;
    let found = format!("{:.1} Gb/s", gigabits_per_second(&reply));
    let what = if streams == 1 {
        "TCP, 1 stream"
    } else {
        "TCP, 4 streams"
    };
    report.add(what, &arrow(from, to), found, ok);
    Ok(())
}

/// Returns how many bytes of frames have entered the switch from alice.
fn received_from_alice(lab: &Lab) -> Result<u64> {
    Ok(lab.call(lab.client().port("blue/alice"))?.counters.rx_bytes)
}

/// Returns the IPv4 address of a sandbox.
pub(super) fn address(lab: &mut Lab, name: &str) -> Result<Ipv4Addr> {
    let addresses = &lab.sandbox(name)?.endpoint.addresses;
    let v4 = addresses.iter().find_map(|net| match net.addr() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    });
    v4.with_context(|| format!("{name} has no IPv4 address"))
}

pub(super) fn arrow(from: &str, to: &str) -> String {
    format!("{from} → {to}")
}

pub(super) fn round_trip(reply: &Reply) -> String {
    reply
        .rtt_us
        .map_or_else(String::new, |us| format!(", median round trip {us:.0} µs"))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "for people, with one digit after the point"
)]
pub(super) fn gigabits_per_second(reply: &Reply) -> f64 {
    reply.received as f64 * 8.0 / reply.seconds / 1e9
}
