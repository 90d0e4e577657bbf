//! A process beside that of a unit test, for tests of what tells processes apart and when they end.

use std::process::{Child, Command, Stdio};

/// Starts a process that waits for its input to end, in the namespaces of this one.
pub(crate) fn child() -> Child {
    Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ends a process. Nothing of it is left when this returns.
pub(crate) fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
