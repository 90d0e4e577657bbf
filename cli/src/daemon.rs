//! `tapweave daemon`

use std::io;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tapweave_daemon::{Program, Reloaded, Start};

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
    /// Take over from the daemon that has this state directory now, which ends: connections and forwarding go on
    #[arg(long)]
    takeover: bool,
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
    let mut config = Config::load(&sources)?;
    if args.takeover {
        config.options.start = Start::TakeOver;
    }
    let mut program = InForeground {
        sources,
        started: config.layers.clone(),
        current: config.layers,
        log: Log::start(&config.log),
        output,
    };
    tapweave_daemon::run(&config.options, &mut program)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_reload_tells_what_applies_from_what_needs_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.toml");
        fs::write(&file, "workers = 1\nlog = 'warn'\n").unwrap();
        let sources = Sources {
            flags: Settings::default(),
            config: Some(file.clone()),
            global: Global::default(),
        };
        let config = Config::load(&sources).unwrap();
        let mut printed = Vec::new();
        let mut program = InForeground {
            sources,
            started: config.layers.clone(),
            current: config.layers,
            log: Log::start(&config.log),
            output: &mut Output::new(&mut printed, &Global::default()),
        };
        let mut reload = |text: &str| {
            fs::write(&file, text).unwrap();
            let reloaded = program.reload().map_err(|error| format!("{error:#}"))?;
            Ok::<_, String>((reloaded.applied, reloaded.need_restart))
        };
        let changed =
            "workers = 2\nlog = 'debug'\n[default-network-opts.bridge]\n'tapweave.storm' = 5\n";
        let applied = vec!["log", "default-network-opts"];
        assert_eq!(reload(changed), Ok((applied, vec!["workers"])));
        // What was applied is not told again; what needs a restart still does.
        assert_eq!(reload(changed), Ok((vec![], vec!["workers"])));
        let refusal = reload("wrokers = 2\n").unwrap_err();
        assert!(
            refusal.ends_with("t.toml:1:1: unknown key wrokers; did you mean workers?"),
            "{refusal}"
        );
        let applied = vec!["log", "default-network-opts"];
        assert_eq!(reload("workers = 1\nlog = 'warn'\n"), Ok((applied, vec![])));
    }
}
