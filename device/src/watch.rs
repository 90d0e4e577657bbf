//! Notices when a network namespace that was named by a process or a file has ended.
//!
//! The daemon's own descriptors keep a namespace alive, so the kernel never says that it is gone. What
//! ends is what it was *named* by:
//!
//! - A process: its `pidfd` becomes readable.
//! - A file: deleted, renamed or replaced, which `inotify` on its folder tells; or unmounted, which the
//!   change of `/proc/self/mountinfo` tells (`ip netns del` unmounts and deletes). On either, every
//!   file is looked at again: it has ended unless it still is the same namespace.
//!
//! All of this is one `epoll` descriptor, which is readable when something happened; there is no
//! polling and no thread. One `inotify` instance serves all files, because a user may have 128 only.
//!
//! Not noticed: a folder *above* the file's own is renamed; a file in another mount namespace. A
//! process that moves to another namespace has not ended.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fs::inotify;
use rustix::io::Errno;

use crate::namespace::{NamespaceId, NetNamespace, Origin};

/// User data of everything that concerns files.
const FILES: u64 = u64::MAX;

const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Names one watched namespace. Never used twice by one watcher.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WatchId(u64);

/// Watches any number of namespaces. Readable when [`NamespaceWatcher::take_ended`] should be called.
#[derive(Debug)]
pub struct NamespaceWatcher {
    epoll: OwnedFd,
    files: Option<FileEvents>,
    watched: Vec<Watched>,
    next_id: u64,
}

#[derive(Debug)]
struct Watched {
    id: WatchId,
    by: WatchedBy,
}

#[derive(Debug)]
enum WatchedBy {
    Process(OwnedFd),
    File {
        path: PathBuf,
        namespace: NamespaceId,
        /// The `inotify` watch on its folder, which other files of the folder share.
        folder: i32,
    },
}

/// Where changes of files are heard of.
#[derive(Debug)]
struct FileEvents {
    inotify: OwnedFd,
    /// Kept open: the kernel compares with what this descriptor has seen.
    _mounts: File,
}

impl NamespaceWatcher {
    /// Makes a watcher of nothing.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            files: None,
            watched: Vec::new(),
            next_id: 0,
        })
    }

    /// Begins to watch for the end of `namespace`, which need not be kept open.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] when it has ended already; else what the kernel said.
    pub fn watch(&mut self, namespace: &NetNamespace) -> io::Result<WatchId> {
        let id = WatchId(self.next_id);
        let by = match namespace.origin() {
            Origin::Process(process) => self.watch_process(process, id)?,
            Origin::Path(path) => self.watch_file(path, namespace.id())?,
        };
        self.next_id += 1;
        self.watched.push(Watched { id, by });
        Ok(id)
    }

    /// Stops watching. Unknown ids are ignored.
    pub fn forget(&mut self, id: WatchId) {
        if let Some(at) = self.watched.iter().position(|watched| watched.id == id) {
            let watched = self.watched.swap_remove(at);
            self.let_go(&watched.by);
        }
    }

    /// Returns what has ended since the last call, each once; it is not watched any longer.
    ///
    /// # Errors
    ///
    /// What the kernel said; nothing is lost then.
    pub fn take_ended(&mut self) -> io::Result<Vec<WatchId>> {
        // First, since what has been taken below would be lost if this failed. Always, whatever was
        // reported: a wait on *our* descriptor already makes the kernel note that the change of the
        // mount table was seen.
        if let Some(files) = &self.files {
            files.drain()?;
        }
        let mut ended = self.take_ended_processes()?;
        let mut at = 0;
        while let Some(watched) = self.watched.get(at) {
            if watched.by.is_lost_file() {
                ended.push(watched.id);
                self.forget(watched.id);
            } else {
                at += 1;
            }
        }
        Ok(ended)
    }

    fn take_ended_processes(&mut self) -> io::Result<Vec<WatchId>> {
        let mut ended = Vec::new();
        loop {
            let mut events = [MaybeUninit::uninit(); 64];
            let (events, _) = epoll::wait(&self.epoll, &mut events, Some(&NOW))?;
            let before = ended.len();
            ended.extend(
                events
                    .iter()
                    .map(|event| event.data.u64())
                    .filter(|data| *data != FILES)
                    .map(WatchId),
            );
            if ended.len() == before {
                return Ok(ended);
            }
            for id in ended.get(before..).unwrap_or_default() {
                self.forget(*id);
            }
        }
    }

    fn watch_process(&self, process: &OwnedFd, id: WatchId) -> io::Result<WatchedBy> {
        if process_has_ended(process.as_fd()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let process = process.try_clone()?;
        let data = epoll::EventData::new_u64(id.0);
        epoll::add(&self.epoll, &process, data, epoll::EventFlags::IN)?;
        Ok(WatchedBy::Process(process))
    }

    fn watch_file(&mut self, path: &Path, namespace: NamespaceId) -> io::Result<WatchedBy> {
        let files = match &mut self.files {
            Some(files) => files,
            none => none.insert(FileEvents::new(&self.epoll)?),
        };
        let folder = path.parent().unwrap_or(path);
        // Other files of the folder get the same watch, with the same flags.
        let folder = inotify::add_watch(&files.inotify, folder, FOLDER_EVENTS)?;
        let by = WatchedBy::File {
            path: path.to_owned(),
            namespace,
            folder,
        };
        if is_same(path, namespace) {
            return Ok(by);
        }
        self.let_go(&by);
        Err(io::ErrorKind::NotFound.into())
    }

    /// Undoes what [`NamespaceWatcher::watch`] did for something that is no longer in the list.
    fn let_go(&self, by: &WatchedBy) {
        match by {
            WatchedBy::Process(process) => {
                // The namespace may hold the same descriptor, so closing it would not be enough.
                let _known = epoll::delete(&self.epoll, process);
            }
            WatchedBy::File { folder, .. } => {
                let shared = self.watched.iter().any(
                    |other| matches!(&other.by, WatchedBy::File { folder: f, .. } if f == folder),
                );
                if let (false, Some(files)) = (shared, &self.files) {
                    // Fails when the folder itself is gone, and the watch with it.
                    let _gone = inotify::remove_watch(&files.inotify, *folder);
                }
            }
        }
    }
}

impl WatchedBy {
    fn is_lost_file(&self) -> bool {
        match self {
            Self::Process(_) => false,
            Self::File {
                path, namespace, ..
            } => !is_same(path, *namespace),
        }
    }
}

impl AsFd for NamespaceWatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// What can take a name away from a file: another file has to be moved there, since a new one is
/// created only where none is.
const FOLDER_EVENTS: inotify::WatchFlags = inotify::WatchFlags::DELETE
    .union(inotify::WatchFlags::MOVED_FROM)
    .union(inotify::WatchFlags::MOVED_TO)
    .union(inotify::WatchFlags::DELETE_SELF)
    .union(inotify::WatchFlags::MOVE_SELF)
    .union(inotify::WatchFlags::ONLYDIR);

impl FileEvents {
    fn new(epoll: &OwnedFd) -> io::Result<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags)?;
        let mounts = File::open("/proc/self/mountinfo")?;
        let data = epoll::EventData::new_u64(FILES);
        epoll::add(epoll, &inotify, data, epoll::EventFlags::IN)?;
        epoll::add(epoll, &mounts, data, epoll::EventFlags::PRI)?;
        Ok(Self {
            inotify,
            _mounts: mounts,
        })
    }

    /// Reads all events; which they are does not matter, because every file is looked at.
    fn drain(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        loop {
            match inotify::Reader::new(&self.inotify, &mut buffer).next() {
                Ok(_) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_same(path: &Path, namespace: NamespaceId) -> bool {
    NamespaceId::of_path(path).is_ok_and(|now| now == namespace)
}

/// Tells whether the process of a `pidfd` has ended.
pub(crate) fn process_has_ended(process: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    // An error leaves the question open; then the process counts as alive and is watched.
    poll(&mut fds, Some(&NOW)).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::test_process::{child, end};

    fn is_readable(watcher: &NamespaceWatcher) -> bool {
        let mut fds = [PollFd::new(watcher, PollFlags::IN)];
        let second = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&second)).unwrap() == 1
    }

    fn is_quiet(watcher: &NamespaceWatcher) -> bool {
        let mut fds = [PollFd::new(watcher, PollFlags::IN)];
        poll(&mut fds, Some(&NOW)).unwrap() == 0
    }

    /// Watches a file as if it were a namespace: what is compared is device and inode.
    fn watch_file(watcher: &mut NamespaceWatcher, path: &Path) -> io::Result<WatchId> {
        let by = watcher.watch_file(path, NamespaceId::of_path(path)?)?;
        let id = WatchId(watcher.next_id);
        watcher.next_id += 1;
        watcher.watched.push(Watched { id, by });
        Ok(id)
    }

    #[test]
    fn the_end_of_a_process_is_told_once() {
        let (first, second) = (child(), child());
        let mut watcher = NamespaceWatcher::new().unwrap();
        let namespace = NetNamespace::open_pid(first.id()).unwrap();
        let id = watcher.watch(&namespace).unwrap();
        let other = NetNamespace::open_pid(second.id()).unwrap();
        watcher.watch(&other).unwrap();
        assert_eq!(watcher.take_ended().unwrap(), []);
        assert!(is_quiet(&watcher));
        end(first);
        assert!(is_readable(&watcher));
        assert_eq!(watcher.take_ended().unwrap(), [id]);
        assert!(is_quiet(&watcher));
        let again = watcher.watch(&namespace).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::NotFound);
        end(second);
    }

    #[test]
    fn a_forgotten_process_is_told_no_more() {
        let child = child();
        let mut watcher = NamespaceWatcher::new().unwrap();
        let namespace = NetNamespace::open_pid(child.id()).unwrap();
        let id = watcher.watch(&namespace).unwrap();
        watcher.forget(id);
        end(child);
        assert!(is_quiet(&watcher));
        assert_eq!(watcher.take_ended().unwrap(), []);
    }

    #[test]
    fn a_file_ends_by_being_deleted_renamed_or_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut watcher = NamespaceWatcher::new().unwrap();
        let mut ids = Vec::new();
        for name in ["deleted", "renamed", "replaced", "kept"] {
            fs::write(path(name), name).unwrap();
            ids.push(watch_file(&mut watcher, &path(name)).unwrap());
        }
        assert!(is_quiet(&watcher));
        fs::remove_file(path("deleted")).unwrap();
        assert!(is_readable(&watcher));
        assert_eq!(watcher.take_ended().unwrap(), [ids[0]]);
        fs::rename(path("renamed"), path("other")).unwrap();
        assert!(is_readable(&watcher));
        assert_eq!(watcher.take_ended().unwrap(), [ids[1]]);
        fs::write(path("new"), "new").unwrap();
        fs::rename(path("new"), path("replaced")).unwrap();
        assert!(is_readable(&watcher));
        assert_eq!(watcher.take_ended().unwrap(), [ids[2]]);
        assert_eq!(watcher.take_ended().unwrap(), []);
        assert!(is_quiet(&watcher));
    }

    #[test]
    fn the_last_file_of_a_folder_takes_the_watch_on_it_along() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        fs::write(&first, "").unwrap();
        fs::write(&second, "").unwrap();
        let mut watcher = NamespaceWatcher::new().unwrap();
        let one = watch_file(&mut watcher, &first).unwrap();
        let two = watch_file(&mut watcher, &second).unwrap();
        watcher.forget(one);
        fs::remove_file(&second).unwrap();
        assert!(is_readable(&watcher));
        assert_eq!(watcher.take_ended().unwrap(), [two]);
        assert_eq!(watcher.take_ended().unwrap(), []);
        fs::write(&first, "").unwrap();
        assert!(is_quiet(&watcher), "nobody is interested in the folder");
    }

    #[test]
    fn a_file_that_went_with_its_folder_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("file");
        fs::write(&path, "").unwrap();
        let mut watcher = NamespaceWatcher::new().unwrap();
        let id = watch_file(&mut watcher, &path).unwrap();
        fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
        assert!(is_readable(&watcher));
        assert_eq!(watcher.take_ended().unwrap(), [id]);
    }
}
