//! `tapweave mdb …`

use clap::Subcommand;
use tapweave_control::api::MdbEntryView;

use crate::args::ListArgs;
use crate::context::Context;
use crate::filter::Field;
use crate::output::Form;
use crate::table::{Table, optional};

#[derive(Debug, Subcommand)]
pub(crate) enum MdbCommand {
    /// Show the database of one network, or those of all
    Show(ListArgs),
}

/// The keys of `mdb show --filter`.
const FIELDS: [Field<MdbEntryView>; 5] = [
    Field::addresses("group", |entry| entry.group.into_iter().collect()),
    Field::text("network", |entry, name| entry.network.as_str() == name),
    Field::text("port", |entry, port| entry.port.as_deref() == Some(port)),
    Field::text("vlan", |entry, vid| optional(entry.vid) == vid),
    Field::text("type", |entry, kind| entry.kind.as_str() == kind),
];

pub(crate) async fn run(command: MdbCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    let MdbCommand::Show(args) = command;
    let filter = args.filter.on(&FIELDS)?;
    let mut entries = context.client.mdb(args.of.network.as_deref()).await?;
    filter.apply(&mut entries);
    match context.output.form() {
        Form::Json => context.output.json(&entries)?,
        Form::Quiet => {
            for group in entries.iter().filter_map(|entry| entry.group) {
                context.output.line(group)?;
            }
        }
        Form::Text => write!(context.output.writer(), "{}", table(&entries))?,
    }
    Ok(())
}

/// Groups and VLANs that a line has nothing to say about are a star: all of them.
fn table(entries: &[MdbEntryView]) -> Table {
    let mut table = Table::new(&["GROUP", "VID", "NETWORK", "PORT", "AGE", "EXPIRES", "TYPE"]);
    for entry in entries {
        let all = match entry.ip_version {
            4 => "* (IPv4)",
            _ => "* (IPv6)",
        };
        let vid = match (entry.vid, entry.group) {
            (Some(vid), _) => vid.to_string(),
            (None, Some(_)) => String::new(),
            (None, None) => "*".to_owned(),
        };
        table.row([
            entry
                .group
                .map_or_else(|| all.to_owned(), |group| group.to_string()),
            vid,
            entry.network.to_string(),
            entry.port.clone().unwrap_or_default(),
            format!("{}s", entry.age_ms / 1000),
            format!("{}s", entry.expires_ms / 1000),
            entry.kind.as_str().to_owned(),
        ]);
    }
    table
}
