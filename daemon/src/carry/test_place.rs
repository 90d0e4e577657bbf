//! A shelf for tests.

use std::fs::File;
use std::sync::{Arc, Mutex};
use std::{fmt, io};

use tapweave_carry::{BootId, Carried};

use super::Shelf;

/// The start of the machine of all that tests write.
pub(super) const BOOT: BootId = BootId::from_bytes([3; 16]);

/// A place in memory whose files can be made to fail.
#[derive(Clone, Default)]
pub(super) struct Place(pub(super) Arc<Mutex<Found>>);

#[derive(Default)]
pub(super) struct Found {
    pub(super) file: Option<File>,
    pub(super) puts: usize,
    pub(super) is_broken: bool,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl Shelf for Place {
    fn new_file(&self) -> io::Result<File> {
        if self.0.lock().unwrap().is_broken {
            return Err(io::ErrorKind::StorageFull.into());
        }
        tempfile::tempfile()
    }

    fn put(&self, file: &File) -> io::Result<()> {
        let mut found = self.0.lock().unwrap();
        found.file = Some(file.try_clone()?);
        found.puts += 1;
        Ok(())
    }
}

impl Place {
    /// Reads what the next daemon would.
    pub(super) fn read(&self) -> Option<Carried> {
        let found = self.0.lock().unwrap();
        found
            .file
            .as_ref()
            .map(|file| super::read(file, BOOT, "something").0)
    }
}
