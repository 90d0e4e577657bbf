//! `tapweave fdb …`

use std::net::IpAddr;

use clap::{Args, Subcommand};
use tapweave_control::api::{FdbAdd, FdbEntryView, FdbFlush, FdbKind};
use tapweave_net::{MacAddr, Vid};

use crate::args::{ListArgs, OfNetwork};
use crate::context::Context;
use crate::filter::Field;
use crate::output::Form;
use crate::table::{Table, optional, place};

#[derive(Debug, Subcommand)]
pub(crate) enum FdbCommand {
    /// Show the table of one network, or those of all
    Show(ListArgs),
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
    #[command(flatten)]
    place: StationPlace,
    /// The VLAN in which it is there [default: frames that are in no VLAN]
    #[arg(long, value_name = "VID")]
    vlan: Option<Vid>,
}

/// Where a station is: one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct StationPlace {
    /// Where the station is: NETWORK/SANDBOX or NETWORK/SANDBOX:IFNAME
    #[arg(long)]
    port: Option<String>,
    /// The host that the station is on: a peer of the network
    #[arg(long, value_name = "IP")]
    vtep: Option<IpAddr>,
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
        FdbCommand::Show(args) => show(&args, context).await?,
        FdbCommand::Add(args) => {
            let request = FdbAdd {
                network: args.network,
                mac: args.mac,
                port: args.place.port,
                vtep: args.place.vtep,
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

/// The keys of `fdb show --filter`.
const FIELDS: [Field<FdbEntryView>; 6] = [
    Field::text("mac", |entry, mac| mac.parse() == Ok(entry.mac)),
    Field::text("network", |entry, name| entry.network.as_str() == name),
    Field::text("port", |entry, port| entry.port.as_deref() == Some(port)),
    Field::addresses("vtep", |entry| entry.vtep.into_iter().collect()),
    Field::text("vlan", |entry, vid| optional(entry.vlan) == vid),
    Field::text("type", |entry, kind| word(entry.kind) == kind),
];

async fn show(args: &ListArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let filter = args.filter.on(&FIELDS)?;
    let mut entries = context.client.fdb(args.of.network.as_deref()).await?;
    filter.apply(&mut entries);
    Ok(context.output.list(&entries, |entry| entry.mac, table)?)
}

fn table(entries: &[FdbEntryView]) -> Table {
    let mut table = Table::new(&["MAC", "VID", "NETWORK", "PORT", "AGE", "TYPE"]);
    for entry in entries {
        let age = match entry.kind {
            FdbKind::Learned | FdbKind::Sticky => format!("{}s", entry.age_ms / 1000),
            FdbKind::Static => String::new(),
        };
        table.row([
            entry.mac.to_string(),
            optional(entry.vlan),
            entry.network.to_string(),
            place(entry.port.as_deref(), entry.vtep),
            age,
            word(entry.kind).to_owned(),
        ]);
    }
    table
}

const fn word(kind: FdbKind) -> &'static str {
    match kind {
        FdbKind::Learned => "learned",
        FdbKind::Sticky => "sticky",
        FdbKind::Static => "static",
    }
}
