//! Everything that a command starts, and the files it makes: is any of it left?
//!
//! The command gets a directory for temporary files of its own, named by `TMPDIR`. Its children inherit
//! the variable, so `/proc` tells the members of the family, orphans included; so it does of a holder of descriptors, which
//! has no environment, by its arguments.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::cli::binary;

/// A command of tapweave and all processes that descend from it; those left are killed when dropped.
#[derive(Debug)]
pub struct Family {
    folder: TempDir,
}

impl Family {
    /// Prepares a family with an empty folder, which is not in the test's directory: its sockets could
    /// have paths too long for the kernel there.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub fn new() -> Result<Self> {
        let folder = TempDir::new().context("creating a folder for temporary files")?;
        Ok(Self { folder })
    }

    /// Returns a command that will run tapweave as the head of the family.
    ///
    /// # Errors
    ///
    /// When there is no binary to be tested.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.env("TMPDIR", self.folder.path());
        Ok(command)
    }

    /// Returns the processes that are there.
    ///
    /// # Errors
    ///
    /// When `/proc` cannot be read.
    pub fn members(&self) -> Result<Vec<Pid>> {
        let mut members = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            if let Some(pid) = pid_of(&path)
                && self.is_member(&path)?
            {
                members.push(pid);
            }
        }
        Ok(members)
    }

    /// Returns the files and folders that are there.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.folder.path())?;
        Ok(entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()?)
    }

    /// A process that has ended and was not waited for has no environment any more, and those of other
    /// users cannot be read.
    fn is_member(&self, process: &Path) -> Result<bool> {
        let folder = self.folder.path().display().to_string();
        let variable = format!("TMPDIR={folder}");
        let inherited = words(&process.join("environ"))?;
        // A holder has no environment, but is told where it is.
        let is_told = |word: &Vec<u8>| word.starts_with(folder.as_bytes());
        Ok(inherited.contains(&variable.into_bytes())
            || words(&process.join("cmdline"))?.iter().any(is_told))
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        for member in self.members().unwrap_or_default() {
            // One that has ended meanwhile is what is wanted.
            let _ = kill_process(member, Signal::KILL);
        }
    }
}

/// Returns what a file of `/proc` has between zeroes; nothing if the process has ended or is another user's.
fn words(file: &Path) -> Result<Vec<Vec<u8>>> {
    match fs::read(file) {
        Ok(bytes) => Ok(bytes.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect()),
        Err(error) if is_gone_or_foreign(&error) => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

fn pid_of(process: &Path) -> Option<Pid> {
    let number = process.file_name()?.to_str()?.parse().ok()?;
    Pid::from_raw(number)
}

fn is_gone_or_foreign(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.kind() == io::ErrorKind::PermissionDenied
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}
