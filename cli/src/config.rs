//! The configuration of the daemon: command line, environment, file and defaults, in this order.
//!
//! # Theory of operation
//!
//! Every option of `tapweave daemon` is a field of [`settings::Settings`], which clap reads from the command
//! line and serde from the file, so that an option cannot lack its key. Each source becomes a table of
//! what it says ([`layers`]); the tables are laid over each other, and the result is validated into the
//! [`Options`] of the daemon. `config show` prints the layers, `config check` and a reload (SIGHUP)
//! compute them again, and the reference in `docs/config.md` is printed from the same types
//! ([`mod@reference`]).

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::fs::{Access, access};
use rustix::process::geteuid;
use tapweave_control::{NetworkDefaults, SocketEnv, SocketPath, socket_path};
use tapweave_daemon::{
    BackendChoice, DefaultPools, DnsChoice, NatOptions, Options, ResolverOptions, State,
    StoreChoice, UplinkOptions,
};
use toml::Table;

pub(crate) mod command;
mod file;
mod forms;
pub(crate) mod keys;
pub(crate) mod layers;
mod network_option;
mod reference;
pub(crate) mod settings;
mod state;
mod value;

use crate::args::Global;
use crate::log::LogFilter;
use file::ConfigFile;
use keys::defaults;
use layers::{Layers, Source};
use settings::{BackendKind, Settings};

/// What is to be done, and who says so.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) layers: Layers,
    file: Option<ConfigFile>,
    pub(crate) options: Options,
    pub(crate) log: LogFilter,
}

/// The sources before they are read.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// What the command line says.
    pub(crate) flags: Settings,
    /// The file that it names.
    pub(crate) config: Option<PathBuf>,
    pub(crate) global: Global,
}

impl Config {
    /// Reads all sources.
    ///
    /// # Errors
    ///
    /// What is wrong, and where it stands.
    pub(crate) fn load(sources: &Sources) -> Result<Self> {
        let file = sources.file()?;
        let mut layers = Layers::default();
        layers.put(
            Source::Default,
            defaults().parse().context("wrong defaults")?,
        );
        if let Some(file) = &file {
            layers.put(Source::File, file.table.clone());
        }
        layers.put(Source::Environment, environment()?);
        layers.put(Source::Flag, Table::try_from(sources.flags())?);
        let settings = layers.settings()?;
        let log = settings
            .log
            .clone()
            .unwrap_or_else(|| LogFilter::of_command(&sources.global));
        let is_state_dir_given = settings.state_dir.is_some();
        let options = options(settings, file.as_ref())?;
        // What is a rule is shown as what it comes to.
        let mut paths = Table::new();
        let mut show = |key: &str, path: &Path| {
            paths.insert(key.to_owned(), path.display().to_string().into());
        };
        if let SocketPath::Default(path) = &options.socket {
            show("socket", path);
        }
        if let State::Directory(path) = &options.state
            && !is_state_dir_given
        {
            show("state-dir", path);
        }
        layers.put(Source::Default, paths);
        Ok(Self {
            layers,
            file,
            options,
            log,
        })
    }
}

impl Sources {
    /// Reads the file: the one that is named, else the one in its usual place if there is one.
    fn file(&self) -> Result<Option<ConfigFile>> {
        if let Some(path) = &self.config {
            return Ok(Some(ConfigFile::read(path)?));
        }
        match usual_path() {
            Some(path) if path.exists() => Ok(Some(ConfigFile::read(&path)?)),
            Some(_) | None => Ok(None),
        }
    }

    fn flags(&self) -> Settings {
        Settings {
            socket: self.global.socket.clone(),
            log: LogFilter::of_flags(&self.global).or_else(|| self.flags.log.clone()),
            ..self.flags.clone()
        }
    }
}

/// Returns where the file is if nothing is said: for root `/etc/tapweave/tapweave.toml`, for others
/// `$XDG_CONFIG_HOME/tapweave/tapweave.toml`, else `~/.config/tapweave/tapweave.toml`.
fn usual_path() -> Option<PathBuf> {
    let folder = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    path_in(is_real_root(), folder("XDG_CONFIG_HOME"), folder("HOME"))
}

fn path_in(is_root: bool, config_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    const FILE: &str = "tapweave/tapweave.toml";
    if is_root {
        return Some(Path::new("/etc").join(FILE));
    }
    let folder = config_home.or_else(|| home.map(|home| home.join(".config")));
    folder.map(|folder| folder.join(FILE))
}

/// Root of a user namespace that an ordinary user has made counts as that user.
fn is_real_root() -> bool {
    geteuid().is_root() && access(Path::new("/run"), Access::WRITE_OK).is_ok()
}

/// Returns what the environment says; empty variables say nothing.
fn environment() -> Result<Table> {
    let variable = |name| env::var(name).ok().filter(|text| !text.is_empty());
    let log = variable("TAPWEAVE_LOG").map(|text| {
        text.parse()
            .map_err(|error| anyhow!("$TAPWEAVE_LOG: {error}"))
    });
    let settings = Settings {
        socket: variable("TAPWEAVE_SOCKET").map(PathBuf::from),
        log: log.transpose()?,
        ..Settings::default()
    };
    Ok(Table::try_from(&settings)?)
}

/// Returns what the daemon is started with. What single values cannot show is checked here.
fn options(settings: Settings, file: Option<&ConfigFile>) -> Result<Options> {
    let default = Options::new(socket(settings.socket.clone()));
    let networks = network_defaults(&settings, file)?;
    Ok(Options {
        worker_count: settings
            .workers
            .map_or(default.worker_count, |n| n.get() as usize),
        backend: match settings.backend {
            None | Some(BackendKind::Auto) => BackendChoice::Auto,
            Some(BackendKind::Uring) => BackendChoice::Uring,
            Some(BackendKind::Epoll) => BackendChoice::Epoll,
        },
        start: default.start,
        hold: settings
            .hold
            .map_or(default.hold, |n| Duration::from_secs(n.get().into())),
        busy_poll: settings
            .busy_poll
            .map_or(default.busy_poll, |n| Duration::from_micros(n.get().into())),
        underlay: settings
            .underlay
            .into_iter()
            .map(value::Written::into_inner)
            .collect(),
        vxlan_port: settings
            .vxlan_port
            .map_or(default.vxlan_port, value::Number::get_u16),
        metrics: settings.metrics.map(value::Written::into_inner),
        uplink: UplinkOptions {
            choice: settings
                .uplink
                .map_or(default.uplink.choice, value::Written::into_inner),
            mtu: settings
                .uplink_mtu
                .map_or(default.uplink.mtu, value::Number::get_u16),
        },
        resolver: resolver(settings.dns),
        nat: NatOptions {
            flow_limit: settings
                .nat_flows
                .and_then(|n| n.get().try_into().ok())
                .unwrap_or(default.nat.flow_limit),
            ports: settings.nat_ports.unwrap_or(default.nat.ports),
            timeouts: settings.nat_timeout,
        },
        networks,
        state: state::state(
            settings
                .store
                .map_or_else(StoreChoice::default, value::Written::into_inner),
            settings.state_dir,
            settings.node,
        )?,
        socket: default.socket,
    })
}

fn resolver(choices: Vec<value::Written<DnsChoice>>) -> ResolverOptions {
    let choices = choices.into_iter().map(value::Written::into_inner);
    ResolverOptions::new(&choices.collect::<Vec<_>>())
}

fn socket(given: Option<PathBuf>) -> SocketPath {
    socket_path(SocketEnv {
        option: given,
        tapweave_socket: None,
        xdg_runtime_dir: env::var_os("XDG_RUNTIME_DIR").map(Into::into),
        uid: geteuid().as_raw(),
        owns_run: is_real_root(),
    })
}

fn network_defaults(settings: &Settings, file: Option<&ConfigFile>) -> Result<NetworkDefaults> {
    let pools = DefaultPools::new(settings.default_address_pools.clone());
    let mut defaults = NetworkDefaults::new(pools);
    for option in &settings.default_network_opts {
        let set = defaults.set_option(&option.driver, &option.key, &option.value);
        set.with_context(|| {
            let key = ["default-network-opts", &option.driver, &option.key];
            match file.and_then(|file| Some((file, file.find(&key)?))) {
                Some((file, position)) => format!("{}:{position}", file.path.display()),
                None => format!(
                    "--default-network-opt {}={}={}",
                    option.driver, option.key, option.value
                ),
            }
        })?;
    }
    Ok(defaults)
}

#[cfg(test)]
mod tests;
