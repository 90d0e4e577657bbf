//! Where the control socket is, decided from what the environment says.
//!
//! Daemon and client call the same function, so that they meet. It reads nothing itself.

use std::path::PathBuf;

/// What the decision depends on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SocketEnv {
    /// `--socket`.
    pub option: Option<PathBuf>,
    /// `$TAPWEAVE_SOCKET`; empty counts as unset.
    pub tapweave_socket: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`; empty or relative counts as unset.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// Effective user id of the process.
    pub uid: u32,
    /// Whether the process is root and may write to `/run`. Root of a user namespace made by an
    /// ordinary user may not, and gets what its user gets.
    pub owns_run: bool,
}

/// A path, and who chose it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SocketPath {
    /// The user; the folder that it is in is the user's business.
    Given(PathBuf),
    /// The rule; the folder is tapweave's own and must belong to the user of the process.
    Default(PathBuf),
}

impl SocketPath {
    /// Returns the path.
    pub const fn path(&self) -> &PathBuf {
        match self {
            Self::Given(path) | Self::Default(path) => path,
        }
    }
}

/// Returns the path of the control socket: `--socket`, else `$TAPWEAVE_SOCKET`, else
/// `/run/tapweave/tapweave.sock` for root, else `$XDG_RUNTIME_DIR/tapweave/tapweave.sock`, else
/// `/tmp/tapweave-UID/tapweave.sock`.
pub fn socket_path(env: SocketEnv) -> SocketPath {
    let variable = env
        .tapweave_socket
        .filter(|path| !path.as_os_str().is_empty());
    if let Some(path) = env.option.or(variable) {
        return SocketPath::Given(path);
    }
    let folder = if env.owns_run {
        PathBuf::from("/run/tapweave")
    } else if let Some(dir) = env.xdg_runtime_dir.filter(|dir| dir.is_absolute()) {
        dir.join("tapweave")
    } else {
        PathBuf::from(format!("/tmp/tapweave-{}", env.uid))
    };
    SocketPath::Default(folder.join("tapweave.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_yields_to_those_before_it() {
        let mut env = SocketEnv {
            option: Some("/a/opt.sock".into()),
            tapweave_socket: Some("/b/env.sock".into()),
            xdg_runtime_dir: Some("/run/user/1000".into()),
            uid: 1000,
            owns_run: true,
        };
        let mut next = |change: fn(&mut SocketEnv)| {
            let path = socket_path(env.clone());
            change(&mut env);
            path
        };
        let given = |text: &str| SocketPath::Given(text.into());
        let default = |text: &str| SocketPath::Default(text.into());
        assert_eq!(next(|env| env.option = None), given("/a/opt.sock"));
        assert_eq!(
            next(|env| env.tapweave_socket = Some(PathBuf::new())),
            given("/b/env.sock")
        );
        assert_eq!(
            next(|env| env.owns_run = false),
            default("/run/tapweave/tapweave.sock")
        );
        assert_eq!(
            next(|env| env.xdg_runtime_dir = Some("relative".into())),
            default("/run/user/1000/tapweave/tapweave.sock")
        );
        assert_eq!(next(|_| ()), default("/tmp/tapweave-1000/tapweave.sock"));
    }
}
