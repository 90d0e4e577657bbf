//! The demo's page, for people.

use std::io::{self, Write};

use tapweave_control::api::PeerView;

use super::host::HostName;
use super::lab::{Lab, OVERLAY, VNI};
use super::story::{NetworkLine, Place, Report};

/// Prints the whole page.
pub(super) fn print(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "tapweave demo: two hosts, {} networks\n",
        report.networks.len()
    )?;
    for network in &report.networks {
        print_network(network, out)?;
    }
    writeln!(out, "What was tried\n")?;
    for step in &report.steps {
        let mark = if step.ok { "ok    " } else { "FAILED" };
        writeln!(
            out,
            "  {mark}  {:<16} {:<14} {}",
            step.what, step.way, step.found
        )?;
    }
    writeln!(out, "\nWhere the switch of east saw whom (fdb show)\n")?;
    for entry in &report.fdb {
        let place = match (&entry.port, entry.vtep) {
            (Some(port), _) => port.clone(),
            (None, Some(vtep)) => format!("vtep {vtep}"),
            (None, None) => "-".to_owned(),
        };
        writeln!(out, "  {}  {:<5} {place}", entry.mac, entry.network)?;
    }
    writeln!(out, "\nWho else takes part in its networks (peer ls)\n")?;
    for peer in &report.peers {
        print_peer(peer, out)?;
    }
    writeln!(out, "\nWhat its gateways translate (nat ls)\n")?;
    for flow in &report.nat {
        writeln!(
            out,
            "  {:<4} {:<11} {:<10} {:<40} {:<38} {}",
            flow.protocol,
            flow.kind,
            flow.port.as_deref().unwrap_or("-"),
            flow.original.to_string(),
            flow.reply.to_string(),
            flow.state
        )?;
    }
    writeln!(out, "\nWhat passed the ports of both (port ls)\n")?;
    writeln!(
        out,
        "  {:<12} {:>24}  {:>24}  drops",
        "port", "from the sandbox", "to the sandbox"
    )?;
    for port in &report.ports {
        let counters = &port.counters;
        writeln!(
            out,
            "  {:<12} {:>24}  {:>24}  {}",
            port.endpoint.port,
            volume(counters.rx_frames, counters.rx_bytes),
            volume(counters.tx_frames, counters.tx_bytes),
            drops(&counters.drops),
        )?;
    }
    writeln!(
        out,
        "\nA frame here is what crossed a port at once: up to 64 KiB, cut by nobody."
    )
}

/// Prints how to look around in a demo that goes on.
pub(super) fn print_keep(lab: &Lab, out: &mut dyn Write) -> io::Result<()> {
    let socket = |host| lab.client_of(host).socket().display();
    let (east, west) = (socket(HostName::East), socket(HostName::West));
    writeln!(out, "The demo is running. In another terminal:\n")?;
    writeln!(out, "  export TAPWEAVE_SOCKET={east}    # host east")?;
    writeln!(out, "  export TAPWEAVE_SOCKET={west}    # host west")?;
    for command in [
        "network inspect blue",
        "port ls",
        "fdb show",
        "peer ls",
        "nat ls",
        "stats",
    ] {
        writeln!(out, "  tapweave {command}")?;
    }
    for sandbox in &lab.sandboxes {
        let (Some(pid), name) = (sandbox.pid(), &sandbox.endpoint.sandbox) else {
            continue;
        };
        let enter = "nsenter --preserve-credentials --user --net --target";
        let host = sandbox.host;
        writeln!(out, "  {enter} {pid} ip address    # {name}, on {host}")?;
    }
    writeln!(out, "\nPress Enter to end it.")?;
    out.flush()
}

fn print_peer(peer: &PeerView, out: &mut dyn Write) -> io::Result<()> {
    let counters = &peer.counters;
    writeln!(
        out,
        "  {}  {:<5} {:<7} path MTU {}, inner {}; {} in, {} out",
        peer.address,
        peer.network,
        peer.state.as_str(),
        peer.path_mtu,
        peer.mtu.unwrap_or_default(),
        volume(counters.rx_frames, counters.rx_bytes),
        volume(counters.tx_frames, counters.tx_bytes),
    )
}

/// Draws a network: the sandboxes on one line.
fn print_network(network: &NetworkLine, out: &mut dyn Write) -> io::Result<()> {
    const WIDTH: usize = 18;
    let rows = network.endpoints.iter().map(|Place { host, endpoint }| {
        let address = endpoint.addresses.first();
        let address = address.map_or_else(|| "-".to_owned(), |net| net.addr().to_string());
        [
            format!("{} on {host}", endpoint.sandbox),
            address,
            endpoint.mac.to_string(),
        ]
    });
    let rows: Vec<[String; 3]> = rows.collect();
    let line = |out: &mut dyn Write, cell: &dyn Fn(&[String; 3]) -> String| {
        write!(out, "  ")?;
        rows.iter()
            .try_for_each(|row| write!(out, "{}  ", cell(row)))?;
        writeln!(out)
    };
    let dashes = "─".repeat(WIDTH + 2);
    line(out, &|_| format!("┌{dashes}┐"))?;
    for field in 0..3 {
        line(out, &|row| {
            format!("│ {:<WIDTH$} │", row.get(field).map_or("", String::as_str))
        })?;
    }
    let (left, right) = (WIDTH / 2, WIDTH + 1 - WIDTH / 2);
    line(out, &|_| format!("└{:─<left$}┬{:─<right$}┘", "", ""))?;
    line(out, &|_| format!(" {:left$}│{:right$} ", "", ""))?;
    let (east, west) = (HostName::East.underlay(), HostName::West.underlay());
    let way = if network.name == OVERLAY {
        format!("over VXLAN {VNI}, {east} to {west} ")
    } else {
        String::new()
    };
    let title = format!(" {} {} {way}", network.name, network.subnets.join(" "));
    let total = rows.len() * (WIDTH + 6);
    writeln!(out, "  ═══{title:═<total$}\n")
}

fn volume(frames: u64, bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut scaled = bytes;
    while scaled >= 10_000 && unit + 1 < UNITS.len() {
        scaled /= 1000;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    format!("{frames} frames, {scaled} {unit}")
}

fn drops(drops: &std::collections::BTreeMap<String, u64>) -> String {
    if drops.is_empty() {
        return "none".to_owned();
    }
    let each = drops
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"));
    each.collect::<Vec<_>>().join(", ")
}
