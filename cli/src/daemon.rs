//! `tapweave daemon`

use std::io;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tapweave_daemon::{Program, Reloaded};

use crate::args::Global;
use crate::config::keys::key;
use crate::config::layers::Layers;
use crate::config::settings::Settings;
use crate::config::{Config, Sources};
use crate::log::Log;
use crate::output::Output;

const CONFIG_HELP: &str = "Read options from this TOML file; see `tapweave config` [default: /etc/tapweave/tapweave.toml for root, else $XDG_CONFIG_HOME/tapweave/tapweave.toml, if it is there]";

#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    #[arg(help = CONFIG_HELP, long, value_name = "FILE", env = "TAPWEAVE_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

impl DaemonArgs {
    /// Returns where this daemon's configuration comes from.
    pub(crate) fn sources(&self, global: &Global) -> Sources {
        Sources {
            flags: self.settings.clone(),
            config: self.config.clone(),
            global: global.clone(),
        }
    }
}

/// The program around a daemon: prints, logs, and reads the configuration again.
struct InForeground<'a, 'w> {
    sources: Sources,
    /// What the daemon was started with.
    started: Layers,
    /// What was read last.
    current: Layers,
    log: Log,
    output: &'a mut Output<'w>,
}

impl Program for InForeground<'_, '_> {
    fn ready(&mut self) -> io::Result<()> {
        self.output.line("ready")?;
        self.output.writer().flush()
    }

    fn reload(&mut self) -> Result<Reloaded> {
        let config = Config::load(&self.sources)?;
        self.log.set_filter(&config.log);
        let needs_restart = |name: &&str| key(name).is_some_and(|key| key.applies.needs_restart());
        let mut applied = self.current.difference(&config.layers);
        applied.retain(|name| !needs_restart(name));
        let mut need_restart = self.started.difference(&config.layers);
        need_restart.retain(needs_restart);
        self.current = config.layers;
        Ok(Reloaded {
            networks: config.options.networks,
            applied,
            need_restart,
        })
    }
}

pub(crate) fn run(args: &DaemonArgs, global: &Global, output: &mut Output<'_>) -> Result<()> {
    let sources = args.sources(global);
    let config = Config::load(&sources)?;
    let mut program = InForeground {
        sources,
        started: config.layers.clone(),
        current: config.layers,
        log: Log::start(&config.log),
        output,
    };
    tapweave_daemon::run(&config.options, &mut program)
}
