//! `tapweave neigh …`

use std::net::IpAddr;

use clap::{Args, Subcommand};
use tapweave_control::api::{NeighborAdd, NeighborView};
use tapweave_net::MacAddr;

use crate::args::ListArgs;
use crate::context::Context;
use crate::filter::Field;
use crate::table::{Table, place};

#[derive(Debug, Subcommand)]
pub(crate) enum NeighCommand {
    /// Show whom questions (ARP, Neighbor Discovery) are answered for, in one overlay network or in all
    Show(ListArgs),
    /// State the MAC address of a neighbour: sandboxes of this host are answered, and the question does not travel
    Add(AddArgs),
    /// Take back what was stated of a neighbour
    Rm(RmArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// The neighbour's address
    address: IpAddr,
    /// Its MAC address
    mac: MacAddr,
    /// It is an IPv6 router: without this, hosts that have it as one forget it
    #[arg(long)]
    router: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// The neighbour's address
    address: IpAddr,
}

pub(crate) async fn run(command: NeighCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    let client = &context.client;
    match command {
        NeighCommand::Show(args) => show(&args, context).await?,
        NeighCommand::Add(args) => {
            let request = NeighborAdd {
                network: args.network,
                address: args.address,
                mac: args.mac,
                router: args.router,
            };
            client.neighbor_add(&request).await?;
            context.output.done("added", &args.address.to_string())?;
        }
        NeighCommand::Rm(args) => {
            client.neighbor_del(&args.network, args.address).await?;
            context.output.done("removed", &args.address.to_string())?;
        }
    }
    Ok(())
}

/// The keys of `neigh show --filter`.
const FIELDS: [Field<NeighborView>; 6] = [
    Field::addresses("address", |neighbor| vec![neighbor.address]),
    Field::text("mac", |neighbor, mac| mac.parse() == Ok(neighbor.mac)),
    Field::text("network", |neighbor, name| {
        neighbor.network.as_str() == name
    }),
    Field::text("port", |neighbor, port| {
        neighbor.port.as_deref() == Some(port)
    }),
    Field::addresses("vtep", |neighbor| neighbor.vtep.into_iter().collect()),
    Field::text("type", |neighbor, kind| neighbor.kind.as_str() == kind),
];

async fn show(args: &ListArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let filter = args.filter.on(&FIELDS)?;
    let network = args.of.network.as_deref();
    let mut neighbors = context.client.neighbors(network).await?;
    filter.apply(&mut neighbors);
    let output = &mut context.output;
    Ok(output.list(&neighbors, |neighbor| neighbor.address, table)?)
}

fn table(neighbors: &[NeighborView]) -> Table {
    let mut table = Table::new(&["ADDRESS", "MAC", "NETWORK", "PORT", "TYPE"]);
    for neighbor in neighbors {
        let router = if neighbor.router { ", router" } else { "" };
        table.row([
            neighbor.address.to_string(),
            neighbor.mac.to_string(),
            neighbor.network.to_string(),
            place(neighbor.port.as_deref(), neighbor.vtep),
            format!("{}{router}", neighbor.kind.as_str()),
        ]);
    }
    table
}
