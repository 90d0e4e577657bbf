//! Where a journal is, so that the next daemon finds it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use tapweave_device::HeldKey;

use crate::holdings::{self, Holdings};

/// A place for one file.
pub(crate) trait Shelf: Send + Sync + fmt::Debug {
    /// Returns a new file, empty, that nobody else knows.
    fn new_file(&self) -> io::Result<File>;

    /// Puts a file there, in the place of the one that was: whoever looks finds the one or the other.
    fn put(&self, file: &File) -> io::Result<()>;
}

/// Memory that the holder keeps: it is there as long as the interfaces are, and no disk is written.
#[derive(Debug)]
pub(crate) struct Kept {
    holdings: Arc<Holdings>,
    key: HeldKey,
    /// What `/proc` calls the memory.
    label: &'static str,
}

impl Kept {
    /// Returns the place for the journal of flows.
    pub(crate) fn flows(holdings: Arc<Holdings>) -> Self {
        Self::new(holdings, "flows", "tapweave-journal")
    }

    /// Returns the place for the snapshot of what was learned.
    pub(crate) fn learned(holdings: Arc<Holdings>) -> Self {
        Self::new(holdings, "learned", "tapweave-learned")
    }

    fn new(holdings: Arc<Holdings>, name: &str, label: &'static str) -> Self {
        Self {
            holdings,
            key: HeldKey::new(holdings::JOURNAL, name),
            label,
        }
    }

    /// Returns the file that an earlier daemon has left. It stays there until another one is put there.
    pub(crate) fn find(&self) -> Option<File> {
        let held = self.holdings.claim(&self.key)?;
        held.fds.into_iter().next().map(File::from)
    }
}

impl Shelf for Kept {
    fn new_file(&self) -> io::Result<File> {
        let flags = MemfdFlags::CLOEXEC;
        let memory = match memfd_create(self.label, flags | MemfdFlags::NOEXEC_SEAL) {
            // Before Linux 6.3.
            Err(Errno::INVAL) => memfd_create(self.label, flags),
            made => made,
        };
        Ok(memory?.into())
    }

    fn put(&self, file: &File) -> io::Result<()> {
        self.holdings.keep(&self.key, "", &[file.as_fd()]);
        Ok(())
    }
}
