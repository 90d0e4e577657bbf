//! What a program that uses this crate is besides, when it is started with certain arguments.

use std::env;
use std::process::ExitCode;

use crate::attach::helper as attach;
use crate::hold::server as hold;

/// Acts as one of the crate's helpers if this process was started as one, and returns how it went.
///
/// A program whose path an [`crate::Attacher`] or a [`crate::Holder`] is given calls this first of all in
/// `main`, before it starts a thread, and exits with what it returns.
pub fn run_helper_if_requested() -> Option<ExitCode> {
    let argument = env::args_os().nth(1)?;
    if argument == attach::HELPER_ARGUMENT {
        Some(attach::serve())
    } else if argument == hold::HOLDER_ARGUMENT {
        Some(hold::run())
    } else {
        None
    }
}
