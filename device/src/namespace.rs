//! A network namespace that the daemon was asked to connect.
//!
//! Checks once that what was named really is a network namespace and keeps it by descriptor, so that
//! nothing that happens to the name later can make another one of it. Does not enter it: that is done
//! by the helper process of [`crate::Attacher`].
//!
//! A descriptor keeps a namespace alive. It is needed for attaching and watching only; drop it as soon
//! as both have begun.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, FsWord, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use thiserror::Error;

use crate::sys::nsfs;

mod beside;

/// File system of namespaces (`NSFS_MAGIC` of `include/uapi/linux/magic.h`).
const NSFS_MAGIC: FsWord = 0x6e73_6673;

/// Which namespace it is, as long as it lives: device and inode of its file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NamespaceId {
    dev: u64,
    ino: u64,
}

impl NamespaceId {
    /// Returns the id of the namespace that has this inode on this device.
    pub const fn new(dev: u64, ino: u64) -> Self {
        Self { dev, ino }
    }

    /// Returns the device of nsfs.
    pub const fn dev(self) -> u64 {
        self.dev
    }

    /// Returns the inode of the namespace.
    pub const fn ino(self) -> u64 {
        self.ino
    }

    pub(crate) fn of(namespace: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = rustix::fs::fstat(namespace)?;
        Ok(Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
        })
    }

    pub(crate) fn of_path(path: &Path) -> io::Result<Self> {
        let stat = rustix::fs::stat(path)?;
        Ok(Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
        })
    }
}

impl fmt::Display for NamespaceId {
    /// As the kernel writes it in `/proc/PID/ns`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.ino)
    }
}

/// What tells a namespace from another one that has its identity later, since the kernel gives inodes again.
///
/// For a file it is when the kernel made the inode of nsfs, which the mount that makes the file keeps: nanoseconds
/// since 1970. For a process it is when that began: clock ticks since the machine was booted (field 22 of
/// `/proc/PID/stat`, `man 5 proc_pid_stat`), since the inode of a namespace that nothing but its processes holds
/// is made anew for everybody who looks. It means something until the machine is booted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NamespaceMark(u64);

impl NamespaceMark {
    /// Returns the mark that [`NamespaceMark::as_u64`] gave as a number.
    pub const fn from_u64(mark: u64) -> Self {
        Self(mark)
    }

    /// Returns it as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    fn of_file(file: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        let secs = u64::try_from(stat.st_ctime).unwrap_or_default();
        let nanos = secs.saturating_mul(1_000_000_000);
        Ok(Self(nanos.saturating_add(stat.st_ctime_nsec)))
    }

    fn of_process(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        began(&stat)
            .map(Self)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not the state of a process"))
    }
}

/// Reads when a process began from its `/proc/PID/stat`. The name of the program stands in parentheses, and may
/// have any character in it.
fn began(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    // The first field after the name is the third.
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// By what a namespace was named, and so what its end is.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A file, with all symbolic links resolved: it ends when the file does.
    Path(PathBuf),
    /// A process: it ends when the process does.
    Process(OwnedFd),
}

/// Why something is not a network namespace that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// Nothing has that path.
    #[error("no network namespace {}: no such file", .path.display())]
    NoFile {
        /// What was asked for.
        path: PathBuf,
    },
    /// There is a file, but it is no namespace at all.
    #[error(
        "{} is not a network namespace: it is {kind}; \
         give a file of /run/netns or /proc/PID/ns/net",
        .path.display()
    )]
    NotNamespace {
        /// What was asked for.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A namespace of another kind.
    #[error(
        "{} is not a network namespace: it is a namespace of another kind; \
         give a file of /run/netns or /proc/PID/ns/net",
        .path.display()
    )]
    OtherNamespace {
        /// What was asked for.
        path: PathBuf,
    },
    /// No process has that number, or it has just ended.
    #[error("no process {pid}")]
    NoProcess {
        /// What was asked for.
        pid: u32,
    },
    /// The process may not be looked into.
    #[error("the network namespace of process {pid} is not accessible: it belongs to another user")]
    ProcessPermission {
        /// What was asked for.
        pid: u32,
    },
    /// The file may not be read.
    #[error("{} is not accessible: permission denied", .path.display())]
    Permission {
        /// What was asked for.
        path: PathBuf,
    },
    /// Anything else that the kernel says.
    #[error("network namespace {} cannot be opened", .path.display())]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// An open network namespace.
#[derive(Debug)]
pub struct NetNamespace {
    file: OwnedFd,
    id: NamespaceId,
    mark: NamespaceMark,
    origin: Origin,
}

impl NetNamespace {
    /// Opens the namespace that the file `path` is: a bind mount such as those of `ip netns` in
    /// `/run/netns`, or `/proc/PID/ns/net`, which is the same as [`NetNamespace::open_pid`].
    ///
    /// # Errors
    ///
    /// What `path` is instead, or why it cannot be opened.
    pub fn open_path(path: &Path) -> Result<Self, NamespaceError> {
        let resolved = resolve(path).map_err(|error| file_error(path, error))?;
        if let Some(pid) = process_of(&resolved) {
            return Self::open_of_process(pid, &resolved);
        }
        let file = open_namespace(&resolved, path)?;
        let mark = NamespaceMark::of_file(file.as_fd()).map_err(|error| file_error(path, error))?;
        Self::new(file, mark, Origin::Path(resolved), path)
    }

    /// Opens the namespace in which process `pid` is now.
    ///
    /// # Errors
    ///
    /// [`NamespaceError::NoProcess`] and [`NamespaceError::ProcessPermission`] foremost.
    pub fn open_pid(pid: u32) -> Result<Self, NamespaceError> {
        Self::open_of_process(pid, Path::new(&format!("/proc/{pid}/ns/net")))
    }

    fn open_of_process(pid: u32, path: &Path) -> Result<Self, NamespaceError> {
        let gone = || NamespaceError::NoProcess { pid };
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // The process is held first, so that what is opened next is its namespace and not that of a
        // later process of the same number; a number that was freed in between does not open.
        let process = pidfd_open(process.ok_or_else(gone)?, PidfdFlags::empty());
        let process = match process {
            Ok(process) => process,
            // `EINVAL`, later `ENOENT`: a thread that is not the first of its process.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Err(gone()),
            Err(error) => return Err(file_error(path, error.into())),
        };
        let file = match open_namespace(path, path) {
            Err(NamespaceError::NoFile { .. }) => return Err(gone()),
            Err(NamespaceError::Permission { .. }) => {
                return Err(NamespaceError::ProcessPermission { pid });
            }
            opened => opened?,
        };
        let mark = NamespaceMark::of_process(pid);
        // What was read until here was of this process if it still is there.
        if crate::watch::process_has_ended(process.as_fd()) {
            return Err(gone());
        }
        let mark = mark.map_err(|error| file_error(path, error))?;
        Self::new(file, mark, Origin::Process(process), path)
    }

    fn new(
        file: OwnedFd,
        mark: NamespaceMark,
        origin: Origin,
        path: &Path,
    ) -> Result<Self, NamespaceError> {
        let id = NamespaceId::of(file.as_fd()).map_err(|error| file_error(path, error))?;
        Ok(Self {
            file,
            id,
            mark,
            origin,
        })
    }

    /// Returns which namespace it is: two names of one namespace give the same.
    pub const fn id(&self) -> NamespaceId {
        self.id
    }

    /// Returns what tells it from others that had or will have its identity.
    pub const fn mark(&self) -> NamespaceMark {
        self.mark
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl AsFd for NetNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Opens `path` after making sure that this has no effect on anything but a namespace: opening some
/// devices has, and a FIFO would block. What is opened is what was looked at, even if another file has
/// the path by then.
fn open_namespace(path: &Path, asked: &Path) -> Result<OwnedFd, NamespaceError> {
    let error = |error: Errno| file_error(asked, error.into());
    let place = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let place = place.map_err(error)?;
    if rustix::fs::fstatfs(&place).map_err(error)?.f_type != NSFS_MAGIC {
        let stat = rustix::fs::fstat(&place).map_err(error)?;
        return Err(NamespaceError::NotNamespace {
            path: asked.to_owned(),
            kind: kind_name(FileType::from_raw_mode(stat.st_mode)),
        });
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    let file = rustix::fs::open(link, flags, Mode::empty()).map_err(error)?;
    match nsfs::kind(file.as_fd()) {
        Ok(libc::CLONE_NEWNET) => Ok(file),
        Ok(_) => Err(NamespaceError::OtherNamespace {
            path: asked.to_owned(),
        }),
        Err(source) => Err(file_error(asked, source)),
    }
}

fn file_error(path: &Path, source: io::Error) -> NamespaceError {
    let path = path.to_owned();
    match Errno::from_io_error(&source) {
        Some(Errno::NOENT | Errno::NOTDIR) => NamespaceError::NoFile { path },
        Some(Errno::ACCESS | Errno::PERM) => NamespaceError::Permission { path },
        _ => NamespaceError::Io { path, source },
    }
}

const fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "an ordinary file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "a file of unknown kind",
    }
}

/// Resolves symbolic links in `path`, but not the magic ones of `/proc/PID/ns`, whose text is no path.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINK_COUNT {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return fs::canonicalize(&path);
        };
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        let parent = fs::canonicalize(parent)?;
        path = parent.join(name);
        let is_magic = process_of(&path.with_file_name("net")).is_some();
        if is_magic || !fs::symlink_metadata(&path)?.is_symlink() {
            return Ok(path);
        }
        path = path.with_file_name(fs::read_link(&path)?);
    }
    Err(Errno::LOOP.into())
}

/// Symbolic links that the kernel follows in one path (`MAXSYMLINKS`).
const MAX_LINK_COUNT: usize = 40;

/// Returns whose namespace a resolved path is, if it is `/proc/PID/ns/net` or that of a thread.
fn process_of(path: &Path) -> Option<u32> {
    let rest = path.to_str()?.strip_prefix("/proc/")?;
    let (pid, rest) = rest.split_once('/')?;
    let own = rest == "ns/net";
    let of_thread = || {
        let mut parts = rest.splitn(3, '/');
        parts.next() == Some("task") && parts.next().is_some() && parts.next() == Some("ns/net")
    };
    if own || of_thread() {
        pid.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process;

    use super::*;
    use crate::test_process::{child, end};

    fn refusal(path: &Path) -> String {
        NetNamespace::open_path(path).unwrap_err().to_string()
    }

    #[test]
    fn all_names_of_the_own_namespace_have_one_identity() {
        let by_pid = NetNamespace::open_pid(process::id()).unwrap();
        for path in [
            "/proc/self/ns/net".to_owned(),
            format!("/proc/{0}/ns/net", process::id()),
            format!("/proc/{0}/task/{0}/ns/net", process::id()),
        ] {
            let by_path = NetNamespace::open_path(Path::new(&path)).unwrap();
            assert_eq!(by_path.id(), by_pid.id());
            assert!(matches!(by_path.origin(), Origin::Process(_)), "{path}");
        }
    }

    #[test]
    fn what_is_no_network_namespace_is_refused_with_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(refusal(&file).contains("is not a network namespace: it is an ordinary file"));
        assert!(refusal(dir.path()).contains("it is a directory"));
        assert!(refusal(Path::new("/dev/null")).contains("it is a device"));
        assert!(refusal(Path::new("/proc/self/ns/mnt")).contains("a namespace of another kind"));
        assert!(refusal(Path::new("/")).contains("it is a directory"));
        let missing = dir.path().join("missing");
        assert!(refusal(&missing).ends_with("missing: no such file"));
        assert!(refusal(&file.join("below")).ends_with("no such file"));
        assert!(refusal(Path::new("")).ends_with("no such file"));
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_its_writer() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(refusal(&pipe).contains("it is a pipe"));
    }

    #[test]
    fn links_to_a_namespace_are_followed_and_loops_end() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        symlink("second", &first).unwrap();
        symlink("/proc/self/ns/net", &second).unwrap();
        let namespace = NetNamespace::open_path(&first).unwrap();
        assert_eq!(
            namespace.id(),
            NetNamespace::open_pid(process::id()).unwrap().id()
        );
        let looped = dir.path().join("loop");
        symlink("loop", &looped).unwrap();
        assert!(refusal(&looped).contains("cannot be opened"));
    }

    #[test]
    fn the_mark_of_a_process_is_when_it_began() {
        let own = NetNamespace::open_pid(process::id()).unwrap();
        assert_eq!(
            own.mark(),
            NetNamespace::open_pid(process::id()).unwrap().mark()
        );
        let child = child();
        let of_child = NetNamespace::open_pid(child.id()).unwrap();
        assert_eq!(of_child.id(), own.id());
        assert!(of_child.mark().as_u64() >= own.mark().as_u64());
        end(child);
        let odd = "17 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(began(odd), Some(4711));
        assert_eq!(began("17 (cat) S 1 2"), None);
    }

    #[test]
    fn a_number_that_no_process_has_is_refused() {
        // The kernel gives no pid above 2^22.
        for pid in [0, 5_000_000, u32::MAX] {
            let error = NetNamespace::open_pid(pid).unwrap_err();
            assert_eq!(error.to_string(), format!("no process {pid}"));
        }
    }
}
