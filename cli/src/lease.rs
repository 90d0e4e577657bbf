//! `tapweave lease …`

use std::net::Ipv4Addr;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tapweave_control::api::{DhcpView, LeaseAdd, LeaseView};
use tapweave_control::datapath::{ClientIdError, ClientKey};
use tapweave_net::MacAddr;

use crate::args::ListArgs;
use crate::context::Context;
use crate::filter::Field;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum LeaseCommand {
    /// List the addresses that clients of DHCP have or were offered, and those that are fixed for one, in one network or in all
    Ls(ListArgs),
    /// Fix an address for a machine behind a port, by its MAC address or its client identifier
    Add(AddArgs),
    /// Take back that an address is fixed; its machine may ask for it as all others may
    Rm(RmArgs),
    /// Show where the DHCP server of a network answers, and what it did so far
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// The address, which nobody else gets from now on
    #[arg(value_name = "IP")]
    address: Ipv4Addr,
    #[command(flatten)]
    client: ClientArgs,
}

/// Whose a lease is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ClientArgs {
    /// The machine with this MAC address, whatever identifier it gives
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddr>,
    /// The machine with this client identifier (option 61), whatever its MAC address: octets as in ff:00:2a, else text
    #[arg(long, value_name = "ID", value_parser = client_id)]
    client_id: Option<ClientKey>,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// The address
    #[arg(value_name = "IP")]
    address: Ipv4Addr,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The network, by name or beginning of its id
    network: String,
}

/// Each is boxed, so that who calls this needs no room for the largest.
pub(crate) async fn run(command: LeaseCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    match command {
        LeaseCommand::Ls(args) => Box::pin(list(&args, context)).await,
        LeaseCommand::Add(args) => Box::pin(add(args, context)).await,
        LeaseCommand::Rm(args) => Box::pin(remove(args, context)).await,
        LeaseCommand::Show(args) => Box::pin(show(&args.network, context)).await,
    }
}

async fn add(args: AddArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let ClientArgs { mac, client_id } = args.client;
    let client = mac.map(ClientKey::Mac).or(client_id);
    let request = LeaseAdd {
        network: args.network,
        address: args.address,
        client: client.context("neither --mac nor --client-id")?.to_string(),
    };
    context.client.lease_add(&request).await?;
    Ok(context.output.done("added", &args.address.to_string())?)
}

async fn remove(args: RmArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let RmArgs { network, address } = args;
    context.client.lease_del(&network, address).await?;
    Ok(context.output.done("removed", &address.to_string())?)
}

/// Reads a client identifier: octets in hexadecimal digits with colons between them, else text.
fn client_id(text: &str) -> Result<ClientKey, ClientIdError> {
    let octets = |text: &str| text.contains(':').then(|| format!("id {text}").parse());
    match octets(text) {
        Some(Ok(ClientKey::Id(id))) => ClientKey::of_id(&id),
        _ => ClientKey::of_id(text.as_bytes()),
    }
}

/// The keys of `lease ls --filter`.
const FIELDS: [Field<LeaseView>; 6] = [
    Field::addresses("address", |lease| vec![lease.address.into()]),
    Field::text("mac", |lease, mac| {
        mac.parse().is_ok_and(|mac| lease.mac == Some(mac))
    }),
    Field::text("network", |lease, name| lease.network.as_str() == name),
    Field::text("origin", |lease, origin| lease.origin.as_str() == origin),
    Field::text("port", |lease, port| lease.port.as_deref() == Some(port)),
    Field::text("state", |lease, state| lease.state.as_str() == state),
];

async fn list(args: &ListArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let filter = args.filter.on(&FIELDS)?;
    let network = args.of.network.as_deref();
    let mut leases = context.client.leases(network).await?;
    filter.apply(&mut leases);
    let output = &mut context.output;
    Ok(output.list(&leases, |lease| lease.address.to_string(), table)?)
}

fn table(leases: &[LeaseView]) -> Table {
    let mut table = Table::new(&[
        "ADDRESS", "CLIENT", "HOSTNAME", "PORT", "ORIGIN", "STATE", "EXPIRES",
    ]);
    for lease in leases {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        table.row([
            lease.address.to_string(),
            lease
                .mac
                .map_or_else(|| lease.client.clone(), |mac| mac.to_string()),
            or_dash(&lease.host_name),
            or_dash(&lease.port),
            lease.origin.as_str().to_owned(),
            lease.state.as_str().to_owned(),
            or_dash(&lease.expires_in.map(|secs| format!("{secs}s"))),
        ]);
    }
    table
}

async fn show(network: &str, context: &mut Context<'_>) -> anyhow::Result<()> {
    let view = context.client.dhcp(network).await?;
    Ok(context.output.facts(&view, facts)?)
}

fn facts(view: &DhcpView) -> Vec<String> {
    let addresses: Vec<String> = view.addresses.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        format!("address      {}", addresses.join(" ")),
        format!("lease time   {}s", view.lease_time),
        format!("port limit   {}", view.leases_of_port),
    ];
    let counts = [
        ("discovers", view.discovers),
        ("offers", view.offers),
        ("requests", view.requests),
        ("acks", view.acks),
        ("naks", view.naks),
        ("releases", view.releases),
        ("declines", view.declines),
        ("informs", view.informs),
        ("informs v6", view.informs_v6),
    ];
    lines.extend(counts.map(|(name, count)| format!("{name:<12} {count}")));
    let drops = view.drops.iter();
    lines.extend(drops.map(|(reason, count)| format!("drop {reason:<7} {count}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_octets_with_colons_or_text() {
        for (text, key) in [
            ("ff:0:2a", "id ff:00:2a"),
            ("vm", "id 76:6d"),
            ("vm:1", "id 76:6d:3a:31"),
            ("1:2:0:0:0:0:7", "02:00:00:00:00:07"),
        ] {
            assert_eq!(client_id(text).unwrap().to_string(), key);
        }
        for text in ["", "x"] {
            client_id(text).unwrap_err();
        }
    }
}
