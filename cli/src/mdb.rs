//! `tapweave mdb …`

use clap::Subcommand;
use tapweave_control::api::MdbEntryView;

use crate::args::OfNetwork;
use crate::context::Context;
use crate::output::Form;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum MdbCommand {
    /// Show the database of one network, or those of all
    Show(OfNetwork),
}

pub(crate) async fn run(command: MdbCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    let MdbCommand::Show(of) = command;
    let entries = context.client.mdb(of.network.as_deref()).await?;
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
