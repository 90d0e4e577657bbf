//! `tapweave dns …`

use std::net::IpAddr;

use clap::{Args, Subcommand};
use tapweave_control::Name;
use tapweave_control::api::{DnsAnswer, DnsQuestion, DnsRecordAdd, DnsRecordView, ResolverView};

use crate::args::ListArgs;
use crate::context::Context;
use crate::filter::Field;
use crate::output::Form;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// Ask the resolver of a network as a sandbox of it would
    Query(QueryArgs),
    /// List the names of sandboxes and the static ones, of one network or of all
    Ls(ListArgs),
    /// Let a name lead to an address, besides where it leads already: that of a sandbox on another host, say
    Add(AddArgs),
    /// Take back a static name
    Rm(RmArgs),
    /// Show where the resolver of a network answers, and what it did so far
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// A name, or an address whose name is looked for
    name: String,
    /// The type of record, such as MX [default: A and AAAA; PTR for an address]
    #[arg(value_name = "TYPE")]
    kind: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// The name, without that of the network
    name: Name,
    /// Where it leads
    #[arg(value_name = "IP")]
    address: IpAddr,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// The name
    name: Name,
    /// Where it leads [default: all that was stated of the name]
    #[arg(value_name = "IP")]
    address: Option<IpAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The network, by name or beginning of its id
    network: String,
}

pub(crate) async fn run(command: DnsCommand, context: &mut Context<'_>) -> anyhow::Result<()> {
    let client = &context.client;
    match command {
        DnsCommand::Query(args) => query(args, context).await?,
        DnsCommand::Ls(args) => list(&args, context).await?,
        DnsCommand::Add(args) => {
            let request = DnsRecordAdd {
                network: args.network,
                name: args.name,
                address: args.address,
            };
            client.dns_add(&request).await?;
            context.output.done("added", request.name.as_str())?;
        }
        DnsCommand::Rm(args) => {
            client
                .dns_del(&args.network, &args.name, args.address)
                .await?;
            context.output.done("removed", args.name.as_str())?;
        }
        DnsCommand::Show(args) => show(&args.network, context).await?,
    }
    Ok(())
}

/// Prints what was found; that there is nothing of the kind is an answer too, and one that fails.
async fn query(args: QueryArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let question = DnsQuestion {
        name: args.name,
        kind: args.kind,
    };
    let answer = context.client.dns_query(&args.network, &question).await?;
    let output = &mut context.output;
    match output.form() {
        Form::Json => output.json(&answer)?,
        Form::Quiet => {
            for record in &answer.records {
                output.line(&record.data)?;
            }
        }
        Form::Text => {
            for line in lines(&answer) {
                output.line(line)?;
            }
        }
    }
    anyhow::ensure!(
        answer.status == "NOERROR",
        "{}: the resolver of {} answers {}",
        question.name,
        args.network,
        answer.status
    );
    Ok(())
}

/// Returns the records as `dig` prints them.
fn lines(answer: &DnsAnswer) -> Vec<String> {
    let records = answer.records.iter();
    let lines = records.map(|record| {
        let (name, ttl, kind) = (&record.name, record.ttl, &record.kind);
        format!("{name}\t{ttl}\tIN\t{kind}\t{}", record.data)
    });
    lines.collect()
}

/// The keys of `dns ls --filter`.
const FIELDS: [Field<DnsRecordView>; 4] = [
    Field::text("name", |record, name| record.name.as_str() == name),
    Field::addresses("address", |record| vec![record.address]),
    Field::text("network", |record, name| record.network.as_str() == name),
    Field::text("type", |record, kind| record.kind.as_str() == kind),
];

async fn list(args: &ListArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let filter = args.filter.on(&FIELDS)?;
    let network = args.of.network.as_deref();
    let mut records = context.client.dns_records(network).await?;
    filter.apply(&mut records);
    let output = &mut context.output;
    Ok(output.list(&records, |record| record.name.to_string(), table)?)
}

fn table(records: &[DnsRecordView]) -> Table {
    let mut table = Table::new(&["NAME", "ADDRESS", "NETWORK", "TYPE"]);
    for record in records {
        table.row([
            record.name.to_string(),
            record.address.to_string(),
            record.network.to_string(),
            record.kind.as_str().to_owned(),
        ]);
    }
    table
}

async fn show(network: &str, context: &mut Context<'_>) -> anyhow::Result<()> {
    let view = context.client.resolver(network).await?;
    Ok(context.output.facts(&view, facts)?)
}

fn facts(view: &ResolverView) -> Vec<String> {
    let addresses: Vec<String> = view.addresses.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        format!("address    {}", addresses.join(" ")),
        format!("search     {}", view.search),
    ];
    let counts = [
        ("queries", view.queries),
        ("refused", view.refused),
        ("local", view.local),
        ("cached", view.cached),
        ("forwarded", view.forwarded),
        ("limited", view.limited),
        ("failed", view.failed),
    ];
    lines.extend(counts.map(|(name, count)| format!("{name:<10} {count}")));
    lines.push(format!("{:<10} {}", "in cache", view.cache_entries));
    lines
}
