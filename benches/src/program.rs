//! The program that is measured.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Builds tapweave, unless `TAPWEAVE_BIN` names a program.
///
/// # Errors
///
/// When cargo cannot be started, or does not build it.
pub fn build() -> Result<()> {
    if env::var_os("TAPWEAVE_BIN").is_some() {
        return Ok(());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "-p",
            "tapweave-cli",
        ])
        .status()
        .context("starting cargo to build tapweave")?;
    ensure!(status.success(), "tapweave cannot be built");
    Ok(())
}
