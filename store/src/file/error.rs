//! Why a store in a directory does not open.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a store in a directory does not open. Nothing in the directory was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the directory.
    #[error("{} is in use by {}", path.display(), holder_text(*holder))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, as it numbers itself, when that is known.
        holder: Option<u32>,
    },
    /// The directory is somebody else's.
    #[error("{} belongs to uid {owner}; choose another directory, or have it given to you", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Others may reach into the directory.
    #[error("others may reach into {} (mode {mode:04o}); run: chmod 700 {}", path.display(), path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The system refused something.
    #[error("cannot {doing} {}{}", path.display(), advice(source.kind()))]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A newer version of the program wrote the store.
    #[error(
        "{} has format {found}, and this version knows up to {known}; run the newer version, or another \
         directory",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        found: u64,
        /// The latest that is known here.
        known: u64,
    },
    /// The file is no store, or not a whole one.
    #[error(
        "{} is damaged and was left as it is; put back a copy of it, or move it away to begin with nothing",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    /// Returns what makes an error of the system into one of a path.
    pub(super) fn io(doing: &'static str, path: PathBuf) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

/// Returns what can be done about a refusal, where the refusal itself does not tell.
const fn advice(refusal: io::ErrorKind) -> &'static str {
    if matches!(
        refusal,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    ) {
        " (the directory has to be writable)"
    } else if matches!(
        refusal,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        " (there has to be room)"
    } else {
        ""
    }
}

fn holder_text(holder: Option<u32>) -> String {
    match holder {
        Some(process) => format!("process {process}"),
        None => "another process".to_owned(),
    }
}
