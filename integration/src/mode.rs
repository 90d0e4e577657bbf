//! With which rights the tests run.
//!
//! `./test` decides it and says so in `TAPWEAVE_TEST_MODE`; without that the tests refuse to run,
//! because they would make namespaces on the developer's own machine.

use std::env;

use anyhow::{Context, Result, bail};

/// With which rights the tests run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As root, in namespaces of the run's own.
    Root,
    /// As an ordinary user who is root in a user namespace of the run's own.
    User,
    /// As an ordinary user without any privilege; every sandbox is a user namespace of its own.
    Outside,
}

impl Mode {
    /// Returns the mode that `./test` has set.
    ///
    /// # Errors
    ///
    /// When none is set, or one that does not exist.
    pub fn current() -> Result<Self> {
        let mode = env::var("TAPWEAVE_TEST_MODE")
            .context("these tests run only inside of namespaces: use `./test integration`")?;
        match mode.as_str() {
            "root" => Ok(Self::Root),
            "user" => Ok(Self::User),
            "outside" => Ok(Self::Outside),
            _ => bail!("TAPWEAVE_TEST_MODE={mode} is none of root, user, outside"),
        }
    }
}
