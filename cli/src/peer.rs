//! `tapweave peer …`

use std::net::IpAddr;

use clap::{Args, Subcommand};
use ipnet::IpNet;
use tapweave_control::api::{PeerAdd, PeerView};

use crate::args::ListArgs;
use crate::context::Context;
use crate::filter::Field;
use crate::table::{Table, optional};

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// Let another host take part in an overlay network; the other host has to be told of this one too
    Add(AddArgs),
    /// Let a host take part no more
    Rm(RmArgs),
    /// List the peers of one network, or of all
    #[command(visible_alias = "list")]
    Ls(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// The host's address on the underlay
    address: IpAddr,
    /// The UDP port that it listens on [default: that of the network]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// A subnet behind it, IPv4 or IPv6 (repeatable); for overlays of fou, gue and ipip, which need one
    #[arg(long, value_name = "CIDR")]
    subnet: Vec<IpNet>,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// The host's address on the underlay
    address: IpAddr,
}

/// The keys of `peer ls --filter`.
const FIELDS: [Field<PeerView>; 4] = [
    Field::addresses("address", |peer| vec![peer.address]),
    Field::text("network", |peer, name| peer.network.as_str() == name),
    Field::text("type", |peer, origin| peer.origin.as_str() == origin),
    Field::text("state", |peer, state| peer.state.as_str() == state),
];

pub(crate) async fn run(command: PeerCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    match command {
        PeerCommand::Add(args) => {
            let request = PeerAdd {
                network: args.network,
                address: args.address,
                port: args.port,
                subnets: args.subnet,
            };
            context.client.add_peer(&request).await?;
            let address = args.address.to_string();
            context.output.done("added", &address)?;
        }
        PeerCommand::Rm(args) => {
            let client = &context.client;
            client.remove_peer(&args.network, args.address).await?;
            let address = args.address.to_string();
            context.output.done("removed", &address)?;
        }
        PeerCommand::Ls(args) => {
            let filter = args.filter.on(&FIELDS)?;
            let mut peers = context.client.peers(args.of.network.as_deref()).await?;
            filter.apply(&mut peers);
            context.output.list(&peers, |peer| peer.address, table)?;
        }
    }
    Ok(())
}

fn table(peers: &[PeerView]) -> Table {
    let mut table = Table::new(&[
        "PEER",
        "PORT",
        "NETWORK",
        "SUBNETS",
        "TYPE",
        "STATE",
        "HEARD",
        "PATH MTU",
        "MTU",
        "RX FRAMES",
        "RX BYTES",
        "TX FRAMES",
        "TX BYTES",
        "DROPS",
    ]);
    for peer in peers {
        let counters = &peer.counters;
        let subnets: Vec<_> = peer.subnets.iter().map(ToString::to_string).collect();
        table.row([
            peer.address.to_string(),
            optional(peer.port),
            peer.network.to_string(),
            optional((!subnets.is_empty()).then(|| subnets.join(","))),
            peer.origin.as_str().to_owned(),
            peer.state.as_str().to_owned(),
            optional(peer.heard_ms.map(|ms| format!("{}s ago", ms / 1000))),
            peer.path_mtu.to_string(),
            optional(peer.mtu),
            counters.rx_frames.to_string(),
            counters.rx_bytes.to_string(),
            counters.tx_frames.to_string(),
            counters.tx_bytes.to_string(),
            counters.drop_count().to_string(),
        ]);
    }
    table
}
