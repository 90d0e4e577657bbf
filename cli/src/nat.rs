//! `tapweave nat …`

use clap::{Args, Subcommand};
use tapweave_control::api::{NatFlowView, NatFlush};

use crate::context::Context;
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
    /// The network, by name or beginning of its id
    network: Option<String>,
    /// Most flows that are shown
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct FlushArgs {
    /// The network, by name or beginning of its id
    network: Option<String>,
}

pub(crate) async fn run(command: NatCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    match command {
        NatCommand::Ls(args) => ls(&args, context).await,
        NatCommand::Flush(args) => flush(args, context).await,
    }
}

async fn ls(args: &LsArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let network = args.network.as_deref();
    let flows = context.client.nat(network, Some(args.limit)).await?;
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
