//! What a command that asks the daemon works with.

use std::env;
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::process::geteuid;
use tapweave_control::client::Client;
use tapweave_control::{SocketEnv, SocketPath, socket_path};

use crate::args::Global;
use crate::output::Output;

/// The daemon to ask and the place to print to.
#[derive(Debug)]
pub(crate) struct Context<'w> {
    pub(crate) client: Client,
    pub(crate) output: Output<'w>,
}

impl<'w> Context<'w> {
    pub(crate) fn new(global: &Global, output: Output<'w>) -> Self {
        let socket = control_socket(global);
        Self {
            client: Client::new(socket.path(), geteuid().as_raw()),
            output,
        }
    }
}

/// Returns where the control socket is, for daemon and client alike.
pub(crate) fn control_socket(global: &Global) -> SocketPath {
    let variable = |name| env::var_os(name).map(Into::into);
    let uid = geteuid();
    socket_path(SocketEnv {
        option: global.socket.clone(),
        tapweave_socket: variable("TAPWEAVE_SOCKET"),
        xdg_runtime_dir: variable("XDG_RUNTIME_DIR"),
        uid: uid.as_raw(),
        owns_run: uid.is_root() && access(Path::new("/run"), Access::WRITE_OK).is_ok(),
    })
}
