//! The surroundings of a run: namespaces of its own, so that the machine's network is not touched and
//! everything ends with the program, however that ends.
//!
//! It is what `./test` does for the modes `root` and `user` of the integration tests, whose harness
//! refuses to work without.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::geteuid;

/// Set once the program is inside.
const MODE: &str = "TAPWEAVE_TEST_MODE";

/// Mounts over `/run`, where namespaces have their names, and goes on with the program.
const OWN_RUN: &str = "mount -t tmpfs tmpfs /run && exec \"$@\"";

/// Tells whether the program is in namespaces of its own already.
pub fn is_inside() -> bool {
    env::var_os(MODE).is_some()
}

/// Starts the program again with `arguments` inside of new namespaces. Returns only on failure.
///
/// # Errors
///
/// When `unshare` cannot be started.
pub fn enter_own(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<()> {
    let mut command = Command::new("unshare");
    command.args(["-n", "-m", "-p", "-f", "--kill-child", "--mount-proc"]);
    let mode = if geteuid().is_root() {
        "root"
    } else {
        command.args(["-U", "-r"]);
        "user"
    };
    command
        .args(["--", "sh", "-c", OWN_RUN, "sh"])
        .arg(env::current_exe()?)
        .args(arguments)
        .env(MODE, mode)
        .env("PATH", path_with_sbin());
    let error = command.exec();
    Err(error).context("starting unshare (package util-linux)")
}

/// The search path, and behind it where the system's own tools are, which users do not always have.
fn path_with_sbin() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}
