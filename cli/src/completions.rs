//! `tapweave completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, output: &mut Output<'_>) -> anyhow::Result<()> {
    // Written to memory first: the generator panics when a write fails, as a pipe's may.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tapweave", &mut script);
    Ok(output.writer().write_all(&script)?)
}
