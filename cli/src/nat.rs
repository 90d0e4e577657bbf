//! `tapweave nat …`

use clap::{Args, Subcommand};
use tapweave_control::api::{NatFlowView, NatFlush};

use crate::args::ListArgs;
use crate::context::Context;
use crate::filter::Field;
use crate::output::Form;
use crate::table::{Table, optional};

#[derive(Debug, Subcommand)]
pub(crate) enum NatCommand {
    /// List the flows that the gateways translate, of one network or of all
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Forget the translated flows of one network, or of all: connections over them are cut
    Flush(FlushArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    list: ListArgs,
    /// Most flows that are looked at
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct FlushArgs {
    /// The network, by name or beginning of its id
    network: Option<String>,
}

/// The keys of `nat ls --filter`.
const FIELDS: [Field<NatFlowView>; 6] = [
    Field::text("proto", |flow, protocol| flow.protocol == protocol),
    Field::text("kind", |flow, kind| flow.kind == kind),
    Field::text("network", |flow, name| flow.network.as_str() == name),
    Field::text("port", |flow, port| flow.port.as_deref() == Some(port)),
    Field::text("state", |flow, state| flow.state == state),
    Field::addresses("address", |flow| {
        let tuples = [&flow.original, &flow.reply].into_iter();
        tuples
            .flat_map(|tuple| [tuple.source, tuple.destination])
            .collect()
    }),
];

pub(crate) async fn run(command: NatCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    match command {
        NatCommand::Ls(args) => ls(&args, context).await,
        NatCommand::Flush(args) => flush(args, context).await,
    }
}

async fn ls(args: &LsArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let filter = args.list.filter.on(&FIELDS)?;
    let network = args.list.of.network.as_deref();
    let mut flows = context.client.nat(network, Some(args.limit)).await?;
    filter.apply(&mut flows);
    Ok(context.output.list(&flows, |flow| flow.original, table)?)
}

async fn flush(args: FlushArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let request = NatFlush {
        network: args.network,
    };
    let flushed = context.client.nat_flush(&request).await?;
    match context.output.form() {
        Form::Json => context.output.json(&flushed)?,
        Form::Text | Form::Quiet => context.output.line(flushed.flushed)?,
    }
    Ok(())
}

/// Packets and bytes are those of the original direction and of the answers.
fn table(flows: &[NatFlowView]) -> Table {
    let mut table = Table::new(&[
        "PROTO", "KIND", "NETWORK", "PORT", "ORIGINAL", "REPLY", "STATE", "EXPIRES", "PACKETS",
        "BYTES",
    ]);
    for flow in flows {
        let (sent, received) = (flow.sent, flow.received);
        table.row([
            flow.protocol.clone(),
            flow.kind.clone(),
            flow.network.to_string(),
            optional(flow.port.as_deref()),
            flow.original.to_string(),
            flow.reply.to_string(),
            flow.state.clone(),
            format!("{}s", flow.expires_ms / 1000),
            format!("{}/{}", sent.packets, received.packets),
            format!("{}/{}", sent.bytes, received.bytes),
        ]);
    }
    table
}
