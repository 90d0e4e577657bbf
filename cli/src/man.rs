//! `tapweave man FOLDER`: a manual page for each command, from the same words as `--help`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use crate::args::Cli;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder, which is made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes the pages and prints their names.
pub(crate) fn run(args: &ManArgs, output: &mut Output<'_>) -> Result<()> {
    let folder = &args.folder;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let mut written = Vec::new();
    write(&cli, folder, &mut written)?;
    let written: Vec<_> = written.iter().map(String::as_str).collect();
    Ok(output.names("written", &written)?)
}

/// Writes the page of `command` and those of the commands below it.
fn write(command: &Command, folder: &Path, written: &mut Vec<String>) -> Result<()> {
    // `build` has joined the names of the commands above by `-`.
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .source(concat!("tapweave ", env!("CARGO_PKG_VERSION")))
        .manual("tapweave manual");
    let mut text = Vec::new();
    man.render(&mut text)
        .context("cannot render a manual page")?;
    let file = format!("{name}.1");
    let path = folder.join(&file);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    written.push(file);
    let mut below = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    below.try_for_each(|below| write(below, folder, written))
}
