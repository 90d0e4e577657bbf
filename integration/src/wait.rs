//! Waiting for something that a real process or kernel does.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

/// How long a test waits for what should happen at once. Long, so that a busy machine does not fail
/// a test; tests that promise a time give their own.
pub const SOON: Duration = Duration::from_secs(20);

/// Time between two looks.
const STEP: Duration = Duration::from_millis(10);

/// Calls `attempt` until it gives a value, and returns that value.
///
/// # Errors
///
/// The first error of `attempt`, or one that names `what` when `limit` is over.
#[expect(
    clippy::disallowed_methods,
    reason = "a real process is waited for, in real time"
)]
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("after {limit:?} still waiting for: {what}");
        }
        thread::sleep(STEP);
    }
}

/// Calls `holds` until it is true.
///
/// # Errors
///
/// As [`until`].
pub fn until_true(
    what: &str,
    limit: Duration,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<()> {
    until(what, limit, || Ok(holds()?.then_some(())))
}

/// Requires that `holds` stays true for `duration`.
///
/// # Errors
///
/// As soon as it is false; with `what` should have been.
#[expect(
    clippy::disallowed_methods,
    reason = "a real process is watched, in real time"
)]
pub fn stays_true(
    what: &str,
    duration: Duration,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < duration {
        ensure!(holds()?, "ended after {:?}: {what}", start.elapsed());
        thread::sleep(STEP);
    }
    Ok(())
}
