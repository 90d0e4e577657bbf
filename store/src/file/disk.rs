//! A disk for tests, which fills up, fails, and loses what was not synced.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use super::medium::Medium;

/// Octets that a disk writes in one piece.
const SECTOR_LEN: usize = 512;

/// How a disk fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It is full: after so many more writes, writes fail.
    FullAfter(usize),
    /// Its next sync fails, and what it should have written is not there.
    Sync,
    /// The machine dies after so many more calls: nothing works any more.
    DeadAfter(usize),
}

/// A disk with one file. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    file: Arc<Mutex<Contents>>,
    new_file: Arc<Mutex<Contents>>,
    fault: Arc<Mutex<Option<Fault>>>,
    lost: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Contents {
    exists: bool,
    /// As the next read sees it.
    seen: Vec<u8>,
    /// As it is on the disk.
    durable: Vec<u8>,
    /// Since the last sync: where, and how long.
    written: Vec<(usize, usize)>,
}

impl Disk {
    /// Returns a disk with a file that holds these octets.
    pub(super) fn with(octets: Vec<u8>) -> Self {
        let disk = Self::default();
        let mut contents = lock(&disk.file);
        contents.exists = true;
        contents.durable.clone_from(&octets);
        contents.seen = octets;
        drop(contents);
        disk
    }

    /// Lets it fail, or no longer.
    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        *lock(&self.fault) = fault;
    }

    /// Returns the octets of its file as a read sees them.
    pub(super) fn octets(&self) -> Vec<u8> {
        lock(&self.file).seen.clone()
    }

    /// Returns the disk as a failure of power leaves it: of what was written since the last sync, those
    /// sectors are there that `is_kept` says. None when the file was not there yet.
    pub(super) fn after_power_failure(&self, mut is_kept: impl FnMut() -> bool) -> Option<Self> {
        let contents = lock(&self.file);
        if !contents.exists {
            return None;
        }
        let mut octets = contents.durable.clone();
        if is_kept() {
            octets.resize(contents.seen.len().max(octets.len()), 0);
        }
        for &(start, len) in &contents.written {
            let mut at = start;
            while at < start + len {
                let end = (at / SECTOR_LEN + 1) * SECTOR_LEN;
                let end = end.min(start + len).min(contents.seen.len());
                if at >= end {
                    break;
                }
                if is_kept() {
                    octets.resize(octets.len().max(end), 0);
                    octets[at..end].copy_from_slice(&contents.seen[at..end]);
                }
                at = end;
            }
        }
        Some(Self::with(octets))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// One opened file.
#[derive(Debug)]
struct Handle {
    disk: Disk,
    file: Arc<Mutex<Contents>>,
}

impl Handle {
    /// Counts a call against the fault.
    fn call(&self, is_write: bool) -> io::Result<()> {
        let mut fault = lock(&self.disk.fault);
        match &mut *fault {
            Some(Fault::FullAfter(0)) if is_write => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::FullAfter(left)) if is_write => {
                *left -= 1;
                Ok(())
            }
            Some(Fault::DeadAfter(0)) => Err(io::Error::other("the machine is dead")),
            Some(Fault::DeadAfter(left)) => {
                *left -= 1;
                Ok(())
            }
            Some(Fault::FullAfter(_) | Fault::Sync) | None => Ok(()),
        }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.call(false)?;
        Ok(lock(&self.file).seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.call(false)?;
        let start = usize::try_from(offset).unwrap();
        let contents = lock(&self.file);
        let found = contents.seen.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // A file may grow without taking room, as with holes.
        self.call(false)?;
        lock(&self.file)
            .seen
            .resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(false)?;
        if *lock(&self.disk.fault) == Some(Fault::Sync) {
            self.disk.lost.store(true, Ordering::SeqCst);
            return Err(io::Error::other("the disk does not answer"));
        }
        let contents = &mut *lock(&self.file);
        contents.durable.resize(contents.seen.len(), 0);
        for (start, len) in contents.written.drain(..) {
            let end = (start + len).min(contents.seen.len());
            if start < end {
                contents.durable[start..end].copy_from_slice(&contents.seen[start..end]);
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.call(true)?;
        let start = usize::try_from(offset).unwrap();
        let mut contents = lock(&self.file);
        let len = contents.seen.len().max(start + data.len());
        contents.seen.resize(len, 0);
        contents.seen[start..start + data.len()].copy_from_slice(data);
        contents.written.push((start, data.len()));
        Ok(())
    }
}

impl Medium for Disk {
    fn file(&self) -> &Path {
        Path::new("disk/store.redb")
    }

    fn open(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        if !lock(&self.file).exists {
            return Ok(None);
        }
        let handle = Handle {
            disk: self.clone(),
            file: Arc::clone(&self.file),
        };
        handle.call(false)?;
        Ok(Some(Box::new(handle)))
    }

    fn look(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        self.open()
    }

    fn create(&self) -> io::Result<Box<dyn StorageBackend>> {
        *lock(&self.new_file) = Contents::default();
        let handle = Handle {
            disk: self.clone(),
            file: Arc::clone(&self.new_file),
        };
        handle.call(true)?;
        Ok(Box::new(handle))
    }

    fn adopt(&self) -> io::Result<()> {
        let mut new = lock(&self.new_file);
        let octets = std::mem::take(&mut new.seen);
        *lock(&self.file) = Contents {
            exists: true,
            durable: octets.clone(),
            seen: octets,
            written: Vec::new(),
        };
        Ok(())
    }

    fn has_lost_writes(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}
