//! `tapweave config …`

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::file::ConfigFile;
use super::layers::{KeyPath, Layers, Source};
use super::{Config, Sources, reference, usual_path};
use crate::args::Global;
use crate::daemon::DaemonArgs;
use crate::output::{Form, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration file without starting anything; says what is wrong with line and column
    Check(CheckArgs),
    /// Show the values that a daemon with these options would run with, as a configuration file, each with
    /// its source: default, file, environment or flag
    Show(Box<DaemonArgs>),
    /// Print the reference of all keys, as in docs/config.md
    Reference,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The file [default: the one that the daemon would read]
    file: Option<PathBuf>,
}

pub(crate) fn run(command: ConfigCommand, global: &Global, output: &mut Output<'_>) -> Result<()> {
    match command {
        ConfigCommand::Check(args) => check(args, global, output),
        ConfigCommand::Show(args) => show(&args.sources(global), output),
        ConfigCommand::Reference => Ok(output
            .writer()
            .write_all(reference::reference().as_bytes())?),
    }
}

fn check(args: CheckArgs, global: &Global, output: &mut Output<'_>) -> Result<()> {
    let sources = Sources {
        flags: super::Settings::default(),
        config: args.file,
        global: global.clone(),
    };
    let config = Config::load(&sources)?;
    let Some(file) = config.file else {
        match usual_path() {
            Some(path) => bail!("there is no {}: name a file", path.display()),
            None => bail!("there is no home folder to look for a configuration in: name a file"),
        }
    };
    match output.form() {
        Form::Json => output.json(&json!({ "valid": file.path }))?,
        Form::Text => output.line(format_args!("{}: valid", file.path.display()))?,
        Form::Quiet => {}
    }
    Ok(())
}

fn show(sources: &Sources, output: &mut Output<'_>) -> Result<()> {
    let config = Config::load(sources)?;
    match output.form() {
        Form::Json => output.json(&as_json(&config.layers))?,
        Form::Text | Form::Quiet => {
            let lines = lines(&config.layers, config.file.as_ref());
            output.writer().write_all(lines.as_bytes())?;
        }
    }
    Ok(())
}

/// Returns the values as lines of TOML, with comments that align.
fn lines(layers: &Layers, file: Option<&ConfigFile>) -> String {
    let leaves = layers.leaves();
    let lines: Vec<_> = leaves
        .map(|(path, leaf)| {
            let source = match (leaf.source, file) {
                (Source::File, Some(file)) => {
                    let key: Vec<_> = path.iter().map(String::as_str).collect();
                    let line = file
                        .find(&key)
                        .map(|position| format!(":{}", position.line()));
                    format!("{}{}", file.path.display(), line.unwrap_or_default())
                }
                (source, _) => source.to_string(),
            };
            (format!("{} = {}", dotted(path), leaf.value), source)
        })
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max();
    let width = width.unwrap_or_default();
    let line = |(line, source): &(String, String)| format!("{line:width$}  # {source}\n");
    lines.iter().map(line).collect()
}

/// Returns a path as TOML writes it: parts with dots in them are quoted.
fn dotted(path: &KeyPath) -> String {
    let part = |part: &String| {
        let is_bare = part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if is_bare {
            part.clone()
        } else {
            format!("{part:?}")
        }
    };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

fn as_json(layers: &Layers) -> Value {
    let leaf = |(path, leaf): (&KeyPath, &super::layers::Leaf)| json!({ "key": path, "value": leaf.value, "source": leaf.source.to_string() });
    layers.leaves().map(leaf).collect()
}
