//! The directory of a store: made, found to be private, and locked for one process.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use super::error::OpenError;
use super::medium::Medium;
use super::volume::Volume;

/// The file whose lock is the directory's; it holds the number of the process that has it.
const LOCK: &str = "lock";
/// The store.
const STORE: &str = "store.redb";
/// A store that is being made. What is found under this name was never in use.
const NEW_STORE: &str = "store.redb.new";
/// Rights of others.
const OTHERS: u32 = 0o077;

/// A directory that is this process's alone, as long as the value lives.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    store: PathBuf,
    /// Locked. The kernel lets go of it when the process ends, however that ends.
    _lock: File,
    lost: Arc<AtomicBool>,
}

impl StateDirectory {
    /// Takes a directory, and makes it, and those above it, with rights for the owner alone if it is
    /// missing.
    ///
    /// # Errors
    ///
    /// [`OpenError::InUse`] when a process has it, [`OpenError::NotOurs`] and [`OpenError::NotPrivate`]
    /// when others may reach into it, [`OpenError::Io`] when it cannot be made or written.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        let io = |doing, path: &Path| OpenError::io(doing, path.to_owned());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(io("make the directory", path))?;
        let found = fs::metadata(path).map_err(io("look at", path))?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(OpenError::NotOurs {
                path: path.to_owned(),
                owner: found.uid(),
            });
        }
        if found.mode() & OTHERS != 0 {
            return Err(OpenError::NotPrivate {
                path: path.to_owned(),
                mode: found.mode() & 0o7777,
            });
        }
        let lock_path = path.join(LOCK);
        let mut lock = private(&lock_path).map_err(io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = lock.read_to_string(&mut text);
                return Err(OpenError::InUse {
                    path: path.to_owned(),
                    holder: read.ok().and_then(|_| text.trim().parse().ok()),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io("lock", &lock_path)(error)),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(io("write", &lock_path))?;
        Ok(Self {
            path: path.to_owned(),
            store: path.join(STORE),
            _lock: lock,
            lost: Arc::default(),
        })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn volume(&self, file: File) -> Box<dyn StorageBackend> {
        Box::new(Volume::new(file, Arc::clone(&self.lost)))
    }
}

/// Opens a file for reading and writing, and makes it for the owner alone if it is missing.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Turns the error that there is no file into none.
fn if_there(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

impl Medium for StateDirectory {
    fn file(&self) -> &Path {
        &self.store
    }

    fn open(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        let file = OpenOptions::new().read(true).write(true).open(&self.store);
        Ok(if_there(file)?.map(|file| self.volume(file)))
    }

    fn look(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        let file = File::open(&self.store);
        Ok(if_there(file)?.map(|file| self.volume(file)))
    }

    fn create(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = private(&self.path.join(NEW_STORE))?;
        file.set_len(0)?;
        Ok(self.volume(file))
    }

    fn adopt(&self) -> io::Result<()> {
        let new = self.path.join(NEW_STORE);
        File::open(&new)?.sync_all()?;
        fs::rename(new, &self.store)?;
        File::open(&self.path)?.sync_all()
    }

    fn has_lost_writes(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}
