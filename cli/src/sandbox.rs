//! `tapweave sandbox …`

use clap::{Args, Subcommand};
use ipnet::IpNet;
use tapweave_control::api::Sandbox;
use tapweave_control::datapath::NamespaceRef;

use crate::context::Context;
use crate::filter::{Field, FilterArgs};
use crate::inspection::Inspection;
use crate::removal::Removal;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// List the sandboxes that are known
    #[command(visible_alias = "list")]
    Ls(FilterArgs),
    /// Show sandboxes as JSON
    Inspect(SandboxNames),
    /// Disconnect sandboxes from everything and forget them; their processes are left alone
    #[command(visible_alias = "remove")]
    Rm(SandboxNames),
}

#[derive(Debug, Args)]
pub(crate) struct SandboxNames {
    /// Names, or beginnings of ids
    #[arg(value_name = "SANDBOX", required = true)]
    sandboxes: Vec<String>,
}

/// The keys of `sandbox ls --filter`.
const FIELDS: [Field<Sandbox>; 4] = [
    Field::text("name", |sandbox, part| sandbox.name.as_str().contains(part)),
    Field::text("id", |sandbox, id| sandbox.id.as_str().starts_with(id)),
    Field::text("network", |sandbox, name| {
        let mut endpoints = sandbox.endpoints.iter();
        endpoints.any(|endpoint| endpoint.network.as_str() == name)
    }),
    Field::addresses("address", |sandbox| {
        let addresses = sandbox.endpoints.iter().flat_map(|at| &at.addresses);
        addresses.map(IpNet::addr).collect()
    }),
];

pub(crate) async fn run(command: SandboxCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    match command {
        SandboxCommand::Ls(args) => {
            let filter = args.on(&FIELDS)?;
            let mut sandboxes = context.client.sandboxes().await?;
            filter.apply(&mut sandboxes);
            let output = &mut context.output;
            Ok(output.list(&sandboxes, |sandbox| sandbox.name.as_str(), table)?)
        }
        SandboxCommand::Inspect(names) => inspect(&names, context).await,
        SandboxCommand::Rm(names) => rm(&names, context).await,
    }
}

async fn inspect(names: &SandboxNames, context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut shown = Inspection::default();
    for name in &names.sandboxes {
        shown.note(context.client.sandbox(name).await);
    }
    shown.finish(&mut context.output)
}

async fn rm(names: &SandboxNames, context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut removal = Removal::default();
    for name in &names.sandboxes {
        removal.note(name, context.client.remove_sandbox(name).await);
    }
    removal.finish(&mut context.output)
}

fn table(sandboxes: &[Sandbox]) -> Table {
    let mut table = Table::new(&["NAME", "ID", "NAMESPACE", "PORTS"]);
    for sandbox in sandboxes {
        let namespace = match &sandbox.namespace {
            NamespaceRef::Path(path) => path.display().to_string(),
            NamespaceRef::Pid(pid) => format!("pid {pid}"),
        };
        let ports = sandbox.endpoints.iter();
        let ports: Vec<_> = ports
            .map(|endpoint| format!("{}:{}", endpoint.port, endpoint.ifname))
            .collect();
        table.row([
            sandbox.name.to_string(),
            sandbox.id.short().to_owned(),
            namespace,
            ports.join(","),
        ]);
    }
    table
}
