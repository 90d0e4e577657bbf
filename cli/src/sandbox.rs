//! `tapweave sandbox …`

use clap::{Args, Subcommand};
use tapweave_control::api::Sandbox;
use tapweave_control::datapath::NamespaceRef;

use crate::context::Context;
use crate::removal::Removal;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// List the sandboxes that are known
    #[command(visible_alias = "list")]
    Ls,
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

pub(crate) async fn run(command: SandboxCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    match command {
        SandboxCommand::Ls => {
            let sandboxes = context.client.sandboxes().await?;
            let output = &mut context.output;
            Ok(output.list(&sandboxes, |sandbox| sandbox.name.as_str(), table)?)
        }
        SandboxCommand::Inspect(names) => inspect(&names, context).await,
        SandboxCommand::Rm(names) => rm(&names, context).await,
    }
}

async fn inspect(names: &SandboxNames, context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut sandboxes = Vec::new();
    for name in &names.sandboxes {
        sandboxes.push(context.client.sandbox(name).await?);
    }
    Ok(context.output.json(&sandboxes)?)
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
