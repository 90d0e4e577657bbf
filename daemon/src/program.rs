//! What the program that a daemon runs in does for it: says that it is ready, reads its configuration
//! again.

use std::io;

use tapweave_control::NetworkDefaults;

/// The program around a daemon. Called on the control thread, one call at a time.
pub trait Program {
    /// Says that the daemon serves. Called once.
    ///
    /// # Errors
    ///
    /// When it cannot be said; then the daemon stops.
    fn ready(&mut self) -> io::Result<()>;

    /// Reads the configuration again and applies what concerns the program itself, such as what is
    /// logged.
    ///
    /// # Errors
    ///
    /// When the configuration is not valid; then nothing has changed, and the daemon goes on.
    fn reload(&mut self) -> anyhow::Result<Reloaded>;
}

/// A configuration that was read again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reloaded {
    /// For networks that are made from now on.
    pub networks: NetworkDefaults,
    /// Keys that apply with this.
    pub applied: Vec<&'static str>,
    /// Keys that have another value than the daemon runs with, and need a restart.
    pub need_restart: Vec<&'static str>,
}
