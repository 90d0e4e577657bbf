//! What a daemon remembers, and where: which store, in which directory.
//!
//! The command line chooses by [`StoreChoice`] and [`state_directory`]; `run` opens what was chosen.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tapweave_control::Name;
use tapweave_store::{FileStore, MemoryStore, StateDirectory, Store};
use thiserror::Error;
use tracing::info;

use crate::clock::Clock;

/// Where all daemons of root keep their state.
const OF_ROOT: &str = "/var/lib/tapweave";

/// Which store keeps what the daemon is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StoreChoice {
    /// One in the state directory.
    #[default]
    File,
    /// One in memory, which ends with the daemon.
    Memory,
}

/// A text does not name a store.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum StoreChoiceError {
    /// A store that will be supported and is not yet.
    #[error(
        "tapweave cannot use {scheme} yet; there are `file:` (in the state directory) and `memory:`"
    )]
    NotYet {
        /// Which.
        scheme: &'static str,
    },
    /// A place where there is none to choose.
    #[error("`{scheme}:` takes nothing after it{}", hint(scheme))]
    Place {
        /// Which store.
        scheme: &'static str,
    },
    /// Anything else.
    #[error("should be `file:` (in the state directory) or `memory:`")]
    Unknown,
}

fn hint(scheme: &str) -> &'static str {
    if scheme == "file" {
        "; its directory is that of --state-dir"
    } else {
        ""
    }
}

impl FromStr for StoreChoice {
    type Err = StoreChoiceError;

    fn from_str(text: &str) -> Result<Self, StoreChoiceError> {
        let (scheme, place) = text.split_once(':').ok_or(StoreChoiceError::Unknown)?;
        let only = |scheme, choice| {
            if place.is_empty() {
                Ok(choice)
            } else {
                Err(StoreChoiceError::Place { scheme })
            }
        };
        match scheme {
            "file" => only("file", Self::File),
            "memory" => only("memory", Self::Memory),
            "etcd" => Err(StoreChoiceError::NotYet { scheme: "etcd" }),
            "consul" => Err(StoreChoiceError::NotYet { scheme: "Consul" }),
            "zookeeper" => Err(StoreChoiceError::NotYet {
                scheme: "ZooKeeper",
            }),
            _ => Err(StoreChoiceError::Unknown),
        }
    }
}

/// What is remembered, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing after the daemon's end.
    Memory,
    /// Everything, in this directory, which is the daemon's own.
    Directory(PathBuf),
}

/// What the choice of a state directory depends on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateEnv {
    /// `--state-dir`.
    pub option: Option<PathBuf>,
    /// `--node`, or else the name of the host.
    pub node: Name,
    /// `$XDG_STATE_HOME`; empty or relative counts as unset.
    pub xdg_state_home: Option<PathBuf>,
    /// `$HOME`; empty or relative counts as unset.
    pub home: Option<PathBuf>,
    /// Whether the process is root and may write to `/var/lib`. Root of a user namespace made by an
    /// ordinary user may not, and gets what its user gets.
    pub owns_var_lib: bool,
}

/// Nothing says where state goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "nothing says where to keep state: neither $XDG_STATE_HOME nor $HOME is set; give --state-dir DIR, or \
     --store memory: to keep none"
)]
pub struct NoStateDirectory;

/// Returns where a daemon keeps its state: `--state-dir`, else `/var/lib/tapweave/NODE` for root, else
/// `$XDG_STATE_HOME/tapweave/NODE`, else `~/.local/state/tapweave/NODE`.
///
/// # Errors
///
/// When nothing says where.
pub fn state_directory(env: StateEnv) -> Result<PathBuf, NoStateDirectory> {
    if let Some(directory) = env.option {
        return Ok(directory);
    }
    let absolute = |path: &PathBuf| path.is_absolute();
    let all = if env.owns_var_lib {
        PathBuf::from(OF_ROOT)
    } else if let Some(state) = env.xdg_state_home.filter(absolute) {
        state.join("tapweave")
    } else if let Some(home) = env.home.filter(absolute) {
        home.join(".local/state/tapweave")
    } else {
        return Err(NoStateDirectory);
    };
    Ok(all.join(env.node.as_str()))
}

impl State {
    /// Opens the store.
    ///
    /// # Errors
    ///
    /// When the directory cannot be used, is in use, or has a store that is damaged or of a newer version.
    pub(crate) fn open(&self, clock: Clock) -> Result<Arc<dyn Store>> {
        match self {
            Self::Memory => {
                info!("what is made ends with this daemon: its store is in memory");
                Ok(Arc::new(MemoryStore::new(Arc::new(clock))))
            }
            Self::Directory(path) => {
                let open = || FileStore::open(StateDirectory::take(path)?, Arc::new(clock));
                let store = open().context("cannot use the state directory")?;
                info!(directory = %path.display(), "state is kept");
                Ok(Arc::new(store))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_of_the_directory_yields_to_those_before_it() {
        let mut env = StateEnv {
            option: Some("/a".into()),
            node: "n1".parse().unwrap(),
            xdg_state_home: Some("/xdg".into()),
            home: Some("/home/u".into()),
            owns_var_lib: true,
        };
        let mut next = |change: fn(&mut StateEnv)| {
            let path = state_directory(env.clone());
            change(&mut env);
            path
        };
        assert_eq!(next(|it| it.option = None), Ok("/a".into()));
        assert_eq!(
            next(|it| it.owns_var_lib = false),
            Ok("/var/lib/tapweave/n1".into())
        );
        assert_eq!(
            next(|it| it.xdg_state_home = Some("relative".into())),
            Ok("/xdg/tapweave/n1".into())
        );
        assert_eq!(
            next(|it| it.home = Some(PathBuf::new())),
            Ok("/home/u/.local/state/tapweave/n1".into())
        );
        assert_eq!(next(|_| ()), Err(NoStateDirectory));
    }

    #[test]
    fn stores_are_named_by_their_urls() {
        let parse = |text: &str| text.parse::<StoreChoice>();
        assert_eq!(parse("file:"), Ok(StoreChoice::File));
        assert_eq!(parse("memory:"), Ok(StoreChoice::Memory));
        assert_eq!(
            parse("etcd://10.0.0.1:2379"),
            Err(StoreChoiceError::NotYet { scheme: "etcd" })
        );
        for later in ["consul://h", "zookeeper://h:2181"] {
            assert!(matches!(parse(later), Err(StoreChoiceError::NotYet { .. })));
        }
        for placed in ["file:/var/lib/x", "memory:x"] {
            assert!(matches!(parse(placed), Err(StoreChoiceError::Place { .. })));
        }
        for unknown in ["", "file", "redis://h", "/var/lib/x"] {
            assert_eq!(parse(unknown), Err(StoreChoiceError::Unknown));
        }
    }
}
