//! `tapweave network prune`

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Result, bail};
use clap::Args;

use super::FIELDS;
use crate::context::Context;
use crate::filter::FilterArgs;
use crate::removal::Removal;

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

pub(crate) async fn run(args: &PruneArgs, context: &mut Context<'_>) -> Result<()> {
    let filter = args.filter.on(&FIELDS)?;
    let mut networks = context.client.networks().await?;
    filter.apply(&mut networks);
    networks.retain(|network| network.containers.is_empty());
    let names: Vec<_> = networks
        .iter()
        .map(|network| network.name.as_str())
        .collect();
    if !names.is_empty() && !args.force && !may_remove(&names)? {
        bail!("nothing was removed");
    }
    let mut removal = Removal::default();
    for network in &networks {
        // By its id: another one may have got the name by now. One that is in use by now is told of.
        let outcome = context.client.remove_network(network.id.as_str()).await;
        removal.note(network.name.as_str(), outcome);
    }
    removal.finish(&mut context.output)
}

/// Asks on the terminal.
fn may_remove(names: &[&str]) -> Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        bail!(
            "there is no terminal to ask on: -f removes {} without",
            names.join(", ")
        );
    }
    let mut stderr = io::stderr().lock();
    write!(
        stderr,
        "This removes the networks without endpoints: {}. Go on? [y/N] ",
        names.join(", ")
    )?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
