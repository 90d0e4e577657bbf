//! A file as the database sees it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

/// A file that is read and written at offsets. It is not locked: the directory is.
#[derive(Debug)]
pub(super) struct Volume {
    file: File,
    /// Set when an `fsync` fails.
    lost: Arc<AtomicBool>,
}

impl Volume {
    /// Returns the volume of a file. `lost` is set when an `fsync` of it fails.
    pub(super) const fn new(file: File, lost: Arc<AtomicBool>) -> Self {
        Self { file, lost }
    }
}

impl StorageBackend for Volume {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().inspect_err(|_| {
            self.lost.store(true, Ordering::SeqCst);
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
