//! Why there is no `io_uring`.

use std::io;

use thiserror::Error;

use crate::sys::ring;

/// Why `io_uring` cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RingError {
    /// `kernel.io_uring_disabled`, a seccomp filter or a security module is in the way.
    #[error("io_uring is forbidden here (sysctl kernel.io_uring_disabled, or a seccomp filter)")]
    Forbidden(#[source] io::Error),
    /// The kernel was built without it, or a seccomp filter says so.
    #[error("the kernel has no io_uring, or a seccomp filter hides it")]
    Missing(#[source] io::Error),
    /// The kernel is older than 6.7, or lacks one of the requests for another reason.
    #[error("the kernel's io_uring has no multishot read (Linux 6.7)")]
    TooOld,
    /// `RLIMIT_MEMLOCK` or the machine's memory is exhausted.
    #[error("there is no memory for io_uring's rings (is RLIMIT_MEMLOCK too low?)")]
    NoMemory(#[source] io::Error),
    /// Something else.
    #[error("io_uring cannot be set up")]
    Failed(#[source] io::Error),
}

impl RingError {
    /// Asks the kernel whether an event loop on `io_uring` is possible.
    ///
    /// # Errors
    ///
    /// Why it is not. The memory for it may be missing even when this finds nothing.
    pub fn probe() -> Result<(), Self> {
        if ring::probe()? {
            Ok(())
        } else {
            Err(Self::TooOld)
        }
    }
}

impl From<io::Error> for RingError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Forbidden(error),
            Some(libc::ENOSYS) => Self::Missing(error),
            Some(libc::ENOMEM) => Self::NoMemory(error),
            // Flags of the ring that the kernel does not know.
            Some(libc::EINVAL) => Self::TooOld,
            _ => Self::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_told_in_words_of_its_cause() {
        let cases = [
            (libc::EPERM, "forbidden"),
            (libc::ENOSYS, "no io_uring"),
            (libc::ENOMEM, "RLIMIT_MEMLOCK"),
            (libc::EINVAL, "6.7"),
            (libc::EMFILE, "cannot be set up"),
        ];
        for (errno, words) in cases {
            let error = RingError::from(io::Error::from_raw_os_error(errno));
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
