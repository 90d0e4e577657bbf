//! `tapweave port …`

use std::io;

use clap::{Args, Subcommand};
use ipnet::IpNet;
use tapweave_control::GatewayPriority;
use tapweave_control::api::{Endpoint, Port, PortCounters, PortKind, PortState};

use crate::args::ListArgs;
use crate::context::Context;
use crate::filter::Field;
use crate::output::{Form, Output};
use crate::table::{Table, optional};
use crate::underlay;

#[derive(Debug, Subcommand)]
pub(crate) enum PortCommand {
    /// List the ports of one network, or of all
    #[command(visible_alias = "list")]
    Ls(ListArgs),
    /// Show all counters of a port
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The port: NETWORK/SANDBOX or NETWORK/SANDBOX:IFNAME
    port: String,
}

/// The keys of `port ls --filter`.
const FIELDS: [Field<Port>; 10] = [
    Field::text("name", |port, part| port.endpoint.port.contains(part)),
    Field::text("id", |port, id| port.endpoint.id.as_str().starts_with(id)),
    Field::text("network", |port, name| {
        port.endpoint.network.as_str() == name
    }),
    Field::text("sandbox", |port, name| {
        port.endpoint.sandbox.as_str() == name
    }),
    Field::text("ifname", |port, ifname| port.endpoint.ifname == ifname),
    Field::text("mac", |port, mac| mac.parse() == Ok(port.endpoint.mac)),
    Field::addresses("address", |port| {
        port.endpoint.addresses.iter().map(IpNet::addr).collect()
    }),
    Field::text("vlan", |port, vid| optional(port.endpoint.vlan) == vid),
    Field::text("kind", |port, word| kind(port) == word),
    Field::text("state", |port, word| state(port) == word),
];

pub(crate) async fn run(command: PortCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    match command {
        PortCommand::Ls(args) => {
            let filter = args.filter.on(&FIELDS)?;
            let mut ports = context.client.ports(args.of.network.as_deref()).await?;
            filter.apply(&mut ports);
            let output = &mut context.output;
            output.list(&ports, |port| port.endpoint.port.as_str(), table)?;
        }
        PortCommand::Show(args) => {
            let port = context.client.port(&args.port).await?;
            match context.output.form() {
                Form::Json => context.output.json(&port)?,
                Form::Text | Form::Quiet => show(&port, &mut context.output)?,
            }
        }
    }
    Ok(())
}

fn table(ports: &[Port]) -> Table {
    let mut table = Table::new(&[
        "PORT",
        "NETWORK",
        "KIND",
        "SANDBOX",
        "IFNAME",
        "MAC",
        "ADDRESSES",
        "PUBLISHED",
        "VLAN",
        "TRUNK",
        "STATE",
        "OFFLOADS",
        "RX FRAMES",
        "RX BYTES",
        "TX FRAMES",
        "TX BYTES",
        "DROPS",
    ]);
    for port in ports {
        let counters = &port.counters;
        table.row([
            port.endpoint.port.clone(),
            port.endpoint.network.to_string(),
            kind(port).to_owned(),
            port.endpoint.sandbox.to_string(),
            port.endpoint.ifname.clone(),
            port.endpoint.mac.to_string(),
            addresses(port),
            published(&port.endpoint),
            optional(port.endpoint.vlan),
            optional(port.endpoint.trunk.as_ref()),
            state(port).to_owned(),
            port.endpoint.offloads.join(","),
            counters.rx_frames.to_string(),
            counters.rx_bytes.to_string(),
            counters.tx_frames.to_string(),
            counters.tx_bytes.to_string(),
            counters.drop_count().to_string(),
        ]);
    }
    table
}

fn show(port: &Port, output: &mut Output<'_>) -> io::Result<()> {
    let endpoint = &port.endpoint;
    let mut table = Table::new(&["PORT", &endpoint.port]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    fact("network", endpoint.network.to_string());
    fact("sandbox", endpoint.sandbox.to_string());
    fact("interface", endpoint.ifname.clone());
    fact("kind", kind(port).to_owned());
    fact("state", state(port).to_owned());
    fact("mac", endpoint.mac.to_string());
    fact("addresses", addresses(port));
    fact("mtu", endpoint.mtu.to_string());
    fact("queues", endpoint.queues.to_string());
    fact("offloads", endpoint.offloads.join(","));
    fact("isolated", endpoint.isolated.to_string());
    fact("vlan", optional(endpoint.vlan));
    fact("trunk", optional(endpoint.trunk.as_ref()));
    fact("guard", guard(endpoint));
    fact("stations", stations(endpoint).to_owned());
    if let Some(limit) = endpoint.mac_limit {
        fact("mac limit", limit.to_string());
    }
    if endpoint.gw_priority != GatewayPriority::default() {
        fact("gateway priority", endpoint.gw_priority.to_string());
    }
    if let Some(limit) = endpoint.connection_limit {
        fact("connection limit", limit.to_string());
    }
    if let Some(rate) = endpoint.connection_rate {
        fact("connection rate", format!("{rate}/s"));
    }
    fact("published", published(endpoint));
    fact("endpoint", endpoint.id.to_string());
    if let Some(problem) = &endpoint.problem {
        fact("problem", problem.clone());
    }
    for problem in endpoint
        .published
        .iter()
        .filter_map(|it| it.problem.as_ref())
    {
        fact("problem", problem.clone());
    }
    if let Some(underlay) = &port.underlay {
        underlay::facts(underlay, &mut table);
    }
    counters(&port.counters, &mut table);
    write!(output.writer(), "{table}")
}

/// Adds a row for each counter, and for each reason for which something was dropped.
pub(crate) fn counters(counters: &PortCounters, table: &mut Table) {
    let mut fact = |name: &str, value: u64| table.row([name.to_owned(), value.to_string()]);
    fact("rx frames", counters.rx_frames);
    fact("rx bytes", counters.rx_bytes);
    fact("tx frames", counters.tx_frames);
    fact("tx bytes", counters.tx_bytes);
    fact("fdb learned", counters.fdb_learned);
    fact("fdb moves", counters.fdb_moves);
    fact("fdb full", counters.fdb_full);
    fact("mdb full", counters.mdb_full);
    fact("mdb invalid", counters.mdb_invalid);
    fact("neigh answered", counters.neighbors_answered);
    fact("neigh flooded", counters.neighbors_flooded);
    fact("addr conflicts", counters.address_conflicts);
    fact("icmp errors", counters.icmp_errors);
    fact("icmp suppressed", counters.icmp_suppressed);
    fact("drops", counters.drop_count());
    for (reason, count) in &counters.drops {
        fact(&format!("  {reason}"), *count);
    }
}

fn addresses(port: &Port) -> String {
    let addresses = port.endpoint.addresses.iter();
    addresses
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

fn published(endpoint: &Endpoint) -> String {
    let mappings = endpoint.published.iter();
    mappings
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// Returns whether the sandbox is guarded, and what it may use besides its own addresses.
fn guard(endpoint: &Endpoint) -> String {
    let mut text = if endpoint.guard { "on" } else { "off" }.to_owned();
    for (place, prefix) in endpoint.allowed_addresses.iter().enumerate() {
        text.push_str(if place == 0 { ", allows " } else { "," });
        text.push_str(&prefix.to_string());
    }
    text
}

const fn stations(endpoint: &Endpoint) -> &'static str {
    match (endpoint.sticky, endpoint.locked) {
        (_, true) => "locked",
        (true, false) => "sticky",
        (false, false) => "free",
    }
}

const fn kind(port: &Port) -> &'static str {
    match port.kind {
        PortKind::Tap => "tap",
    }
}

const fn state(port: &Port) -> &'static str {
    match port.state {
        PortState::Up => "up",
        PortState::Gone => "gone",
        PortState::Waiting => "waiting",
    }
}
