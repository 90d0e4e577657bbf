//! Where the file of a store is: on a disk, or in a test on one that loses and fails.

use std::fmt;
use std::io;
use std::path::Path;

use redb::StorageBackend;

/// A place for one file, which can be opened again and again, by one at a time.
pub(super) trait Medium: fmt::Debug + Send + Sync {
    /// Returns the path of the file, for messages.
    fn file(&self) -> &Path;

    /// Opens the file for writing. None: there is no file.
    fn open(&self) -> io::Result<Option<Box<dyn StorageBackend>>>;

    /// Opens a file to read it. None: there is no file.
    fn look(&self) -> io::Result<Option<Box<dyn StorageBackend>>>;

    /// Opens a new file for a store that is to be. It is not the store before [`Medium::adopt`].
    fn create(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// Makes the new file, which is closed, the store, durably and in one step.
    fn adopt(&self) -> io::Result<()>;

    /// Tells whether an `fsync` has failed, after which the file is not to be trusted in this process.
    fn has_lost_writes(&self) -> bool;
}
