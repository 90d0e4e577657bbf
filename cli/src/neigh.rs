//! `tapweave neigh …`

use std::net::IpAddr;

use clap::{Args, Subcommand};
use tapweave_control::api::{NeighborAdd, NeighborView};
use tapweave_net::MacAddr;

use crate::args::OfNetwork;
use crate::context::Context;
use crate::table::{Table, place};

#[derive(Debug, Subcommand)]
pub(crate) enum NeighCommand {
    /// Show whom questions (ARP, Neighbor Discovery) are answered for, in one overlay network or in all
    Show(OfNetwork),
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
        NeighCommand::Show(of) => show(&of, context).await?,
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

async fn show(of: &OfNetwork, context: &mut Context<'_>) -> anyhow::Result<()> {
    let neighbors = context.client.neighbors(of.network.as_deref()).await?;
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
