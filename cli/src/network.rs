//! `tapweave network …`

use clap::{Args, Subcommand};
use tapweave_control::api::{Disconnect, NetworkInspect};

use crate::context::Context;
use crate::filter::{Field, FilterArgs};
use crate::inspection::Inspection;
use crate::removal::Removal;
use crate::table::Table;

mod connect;
mod create;
mod prune;

use connect::ConnectArgs;
use create::CreateArgs;
use prune::PruneArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Make a network and print its id
    Create(Box<CreateArgs>),
    /// List the networks
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Show networks as JSON, in the shape of `docker network inspect`
    Inspect(NetworkNames),
    /// Remove networks that nothing is connected to
    #[command(visible_alias = "remove")]
    Rm(NetworkNames),
    /// Remove all networks without endpoints
    // As of Docker, `-f` is here the short form of --force.
    #[command(mut_arg("filters", |filters| filters.short(None)))]
    Prune(PruneArgs),
    /// Connect a sandbox to a network and print the endpoint
    Connect(Box<ConnectArgs>),
    /// Disconnect a sandbox from a network; it stays known
    Disconnect(DisconnectArgs),
}

/// The keys of `network ls --filter` and `network prune --filter`: Docker's, and some.
const FIELDS: [Field<NetworkInspect>; 8] = [
    Field::text("name", |network, part| network.name.as_str().contains(part)),
    Field::text("id", |network, id| network.id.as_str().starts_with(id)),
    Field::text("driver", |network, driver| network.driver == driver),
    Field::text("scope", |network, scope| network.scope == scope),
    Field::labels(|network| &network.labels),
    Field::flag("dangling", |network| network.containers.is_empty()),
    Field::flag("internal", |network| network.internal),
    Field::flag("ipv6", |network| network.enable_ipv6),
];

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkNames {
    /// Names, or beginnings of ids
    #[arg(value_name = "NETWORK", required = true)]
    networks: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DisconnectArgs {
    /// No error if there is nothing to disconnect
    #[arg(short, long)]
    force: bool,
    /// The network, by name or beginning of its id
    network: String,
    /// The sandbox, by name or beginning of its id
    sandbox: String,
}

/// Runs a command. All are boxed because their states are large together.
pub(crate) async fn run(command: NetworkCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    match command {
        NetworkCommand::Create(args) => Box::pin(create::run(*args, context)).await,
        NetworkCommand::Ls(args) => Box::pin(ls(&args, context)).await,
        NetworkCommand::Inspect(names) => Box::pin(inspect(&names, context)).await,
        NetworkCommand::Rm(names) => Box::pin(rm(&names, context)).await,
        NetworkCommand::Prune(args) => Box::pin(prune::run(&args, context)).await,
        NetworkCommand::Connect(args) => Box::pin(connect::run(*args, context)).await,
        NetworkCommand::Disconnect(args) => Box::pin(disconnect(args, context)).await,
    }
}

async fn ls(args: &LsArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let filter = args.filter.on(&FIELDS)?;
    let mut networks = context.client.networks().await?;
    filter.apply(&mut networks);
    let output = &mut context.output;
    Ok(output.list(&networks, |network| network.id.as_str(), table)?)
}

async fn inspect(names: &NetworkNames, context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut shown = Inspection::default();
    for name in &names.networks {
        shown.note(context.client.network(name).await);
    }
    shown.finish(&mut context.output)
}

async fn rm(names: &NetworkNames, context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut removal = Removal::default();
    for name in &names.networks {
        removal.note(name, context.client.remove_network(name).await);
    }
    removal.finish(&mut context.output)
}

async fn disconnect(args: DisconnectArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let request = Disconnect {
        sandbox: args.sandbox,
        force: args.force,
    };
    context.client.disconnect(&args.network, &request).await?;
    let port = format!("{}/{}", args.network, request.sandbox);
    Ok(context.output.done("disconnected", &port)?)
}

fn table(networks: &[NetworkInspect]) -> Table {
    let mut table = Table::new(&[
        "NETWORK ID",
        "NAME",
        "DRIVER",
        "SCOPE",
        "SUBNETS",
        "ENDPOINTS",
    ]);
    for network in networks {
        let subnets = network.ipam.config.iter();
        let subnets: Vec<_> = subnets.map(|config| config.subnet.to_string()).collect();
        table.row([
            network.id.short().to_owned(),
            network.name.to_string(),
            network.driver.clone(),
            network.scope.clone(),
            subnets.join(","),
            network.containers.len().to_string(),
        ]);
    }
    table
}
