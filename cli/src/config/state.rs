//! Where a daemon keeps what it is told: what the settings and the environment come to.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{Access, access};
use rustix::process::geteuid;
use rustix::system::uname;
use tapweave_control::Name;
use tapweave_daemon::{State, StateEnv, StoreChoice, state_directory};

/// Returns what is remembered, and where.
pub(super) fn state(
    store: StoreChoice,
    directory: Option<PathBuf>,
    node: Option<Name>,
) -> Result<State> {
    if store == StoreChoice::Memory {
        return Ok(State::Memory);
    }
    let variable = |name| env::var_os(name).map(Into::into);
    Ok(State::Directory(state_directory(StateEnv {
        option: directory,
        node: node.map_or_else(name_of_host, Ok)?,
        xdg_state_home: variable("XDG_STATE_HOME"),
        home: variable("HOME"),
        owns_var_lib: geteuid().is_root()
            && access(Path::new("/var/lib"), Access::WRITE_OK).is_ok(),
    })?))
}

fn name_of_host() -> Result<Name> {
    let uname = uname();
    let name = uname.nodename().to_string_lossy();
    name.parse().with_context(|| {
        format!("the host's name {name:?} cannot be the daemon's; give --node NAME")
    })
}
