//! The `tapweave` command: reads the command line, asks the daemon, prints.
//!
//! One file for each family of commands; each has its arguments at the top and what they do below.
//! Everything is printed through one locked standard output ([`output::Output`]). Exit status: 0 done,
//! 1 the request failed, 2 wrong usage.

#![forbid(unsafe_code)]

mod args;
mod completions;
mod config;
mod context;
mod daemon;
mod demo;
mod dns;
mod events;
mod fdb;
mod filter;
mod inspection;
mod lease;
mod log;
mod man;
mod mdb;
mod nat;
mod neigh;
mod network;
mod output;
mod peer;
mod port;
mod progress;
mod removal;
mod resolv_conf;
mod sandbox;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod underlay;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use crate::args::{Cli, Command, Request};
use crate::context::Context;
use crate::log::{Log, LogFilter};
use crate::output::{Output, UsageError, Watched};

fn main() -> ExitCode {
    // Before anything else: the first two enter namespaces, which a process with threads cannot.
    if let Some(status) = tapweave_device::run_helper_if_requested() {
        return status;
    }
    if let Some(status) = demo::run_agent_if_requested() {
        return status;
    }
    if let Some(status) = demo::run_daemon_if_requested() {
        return status;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // Help and version come this way too. There is nobody to tell if it cannot be printed.
            let _printed = message.print();
            return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
        }
    };
    if !log::starts_late(&cli.command) {
        Log::start(&LogFilter::of_command(&cli.global));
    }
    let mut stdout = Watched::new(io::stdout().lock());
    let outcome = execute(cli, &mut stdout);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough, as in `tapweave port ls | head`.
        Err(_) if stdout.is_unread() => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("{error:#}").replace('\n', " ");
            let _printed = writeln!(io::stderr().lock(), "tapweave: {line}");
            let wrong_usage = error.downcast_ref::<UsageError>().is_some();
            ExitCode::from(if wrong_usage { 2 } else { 1 })
        }
    }
}

/// Does what `cli` says and prints to `writer`.
fn execute(cli: Cli, writer: &mut dyn Write) -> anyhow::Result<()> {
    let mut output = Output::new(writer, &cli.global);
    match cli.command {
        Command::Daemon(args) => daemon::run(&args, &cli.global, &mut output),
        Command::Demo(args) => demo::run(&args, &mut output),
        Command::Config(command) => config::command::run(command, &cli.global, &mut output),
        Command::Completions(args) => completions::run(&args, &mut output),
        Command::Man(args) => man::run(&args, &mut output),
        Command::Request(request) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start the event loop")?;
            let mut context = Context::new(&cli.global, output);
            let goes_on = request.goes_on();
            let quiet = cli.global.quiet;
            let work = ask(request, &mut context);
            if goes_on || quiet {
                runtime.block_on(work)
            } else {
                runtime.block_on(progress::watched(work))
            }
        }
    }
    .and_then(|()| Ok(writer.flush()?))
}

/// Asks the daemon. The commands are boxed because their states are large.
async fn ask(request: Request, context: &mut Context<'_>) -> anyhow::Result<()> {
    match request {
        Request::Network(command) => Box::pin(network::run(command, context)).await,
        Request::Sandbox(command) => Box::pin(sandbox::run(command, context)).await,
        Request::Port(command) => Box::pin(port::run(command, context)).await,
        Request::Fdb(command) => Box::pin(fdb::run(command, context)).await,
        Request::Neigh(command) => Box::pin(neigh::run(command, context)).await,
        Request::Lease(command) => Box::pin(lease::run(command, context)).await,
        Request::Dns(command) => Box::pin(dns::run(command, context)).await,
        Request::Peer(command) => Box::pin(peer::run(command, context)).await,
        Request::Mdb(command) => Box::pin(mdb::run(command, context)).await,
        Request::Nat(command) => Box::pin(nat::run(command, context)).await,
        Request::Events(args) => Box::pin(events::run(args, context)).await,
        Request::Stats(args) => Box::pin(stats::run(args, context)).await,
    }
}
