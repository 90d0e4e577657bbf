//! `tapweave fdb …`

use std::net::IpAddr;

use clap::{Args, Subcommand};
use tapweave_control::api::{FdbAdd, FdbEntryView, FdbFlush, FdbKind};
use tapweave_net::{MacAddr, Vid};

use crate::args::OfNetwork;
use crate::context::Context;
use crate::output::Form;
use crate::table::{Table, optional, place};

#[derive(Debug, Subcommand)]
pub(crate) enum FdbCommand {
    /// Show the table of one network, or those of all
    Show(OfNetwork),
    /// Make a static entry: it does not age and does not move
    Add(AddArgs),
    /// Remove an entry, learned or static
    Del(DelArgs),
    /// Forget what was learned in one network, or in all; static entries stay
    Flush(OfNetwork),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// MAC address of the station
    mac: MacAddr,
    /// Where the station is: NETWORK/SANDBOX or NETWORK/SANDBOX:IFNAME
    #[arg(long, required_unless_present = "vtep", conflicts_with = "vtep")]
    port: Option<String>,
    /// The host that the station is on: a peer of the network
    #[arg(long, value_name = "IP")]
    vtep: Option<IpAddr>,
    /// The VLAN in which it is there [default: frames that are in no VLAN]
    #[arg(long, value_name = "VID")]
    vlan: Option<Vid>,
}

#[derive(Debug, Args)]
pub(crate) struct DelArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// MAC address of the station
    mac: MacAddr,
    /// The VLAN of the entry [default: the entry for frames that are in no VLAN]
    #[arg(long, value_name = "VID")]
    vlan: Option<Vid>,
}

pub(crate) async fn run(command: FdbCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    let client = &context.client;
    match command {
        FdbCommand::Show(of) => show(&of, context).await?,
        FdbCommand::Add(args) => {
            let request = FdbAdd {
                network: args.network,
                mac: args.mac,
                port: args.port,
                vtep: args.vtep,
                vlan: args.vlan,
            };
            client.fdb_add(&request).await?;
            context.output.done("added", &args.mac.to_string())?;
        }
        FdbCommand::Del(args) => {
            client.fdb_del(&args.network, args.mac, args.vlan).await?;
            context.output.done("removed", &args.mac.to_string())?;
        }
        FdbCommand::Flush(of) => {
            let request = FdbFlush {
                network: of.network,
            };
            let flushed = client.fdb_flush(&request).await?;
            match context.output.form() {
                Form::Json => context.output.json(&flushed)?,
                Form::Text | Form::Quiet => context.output.line(flushed.flushed)?,
            }
        }
    }
    Ok(())
}

async fn show(of: &OfNetwork, context: &mut Context<'_>) -> anyhow::Result<()> {
    let entries = context.client.fdb(of.network.as_deref()).await?;
    Ok(context.output.list(&entries, |entry| entry.mac, table)?)
}

fn table(entries: &[FdbEntryView]) -> Table {
    let mut table = Table::new(&["MAC", "VID", "NETWORK", "PORT", "AGE", "TYPE"]);
    for entry in entries {
        let (age, kind) = match entry.kind {
            FdbKind::Learned => (format!("{}s", entry.age_ms / 1000), "learned"),
            FdbKind::Sticky => (format!("{}s", entry.age_ms / 1000), "sticky"),
            FdbKind::Static => (String::new(), "static"),
        };
        table.row([
            entry.mac.to_string(),
            optional(entry.vlan),
            entry.network.to_string(),
            place(entry.port.as_deref(), entry.vtep),
            age,
            kind.to_owned(),
        ]);
    }
    table
}
