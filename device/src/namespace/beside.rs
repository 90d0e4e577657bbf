//! Looks for a namespace that has lost its name under other names beside that.
//!
//! A file that is mounted cannot be renamed: whoever wants another name for a namespace mounts it once more and takes the
//! first name away. The folder of the first name is where the other one is then, as a rule `/run/netns`.
//!
//! Only that folder is looked at, and in it only what can be a namespace: mounted files, which the inode tells without
//! opening them, and links to that of a process. Other links are not followed, since they lead anywhere, also to
//! where an answer never comes.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD};

use super::{NamespaceId, NamespaceMark, NetNamespace, process_of};

/// Names that are looked at in one folder. The look at each is a microsecond, and several sandboxes may share the folder.
const NAME_COUNT_MAX: usize = 4_096;

impl NetNamespace {
    /// Returns another name of the namespace `id` with `mark`, in the folder of `path`: the first one in order if it has
    /// several; `None` when it has none among the first [`NAME_COUNT_MAX`] that the folder tells, or the folder cannot be
    /// read. Names that are not UTF-8 are left out.
    pub fn find_beside(path: &Path, id: NamespaceId, mark: NamespaceMark) -> Option<PathBuf> {
        let folder = path.parent()?;
        let entries = fs::read_dir(folder).ok()?.take(NAME_COUNT_MAX);
        let names = entries.filter_map(Result::ok).filter(|it| leads_to(it, id));
        let mut names: Vec<PathBuf> = names.map(|entry| entry.path()).collect();
        names.retain(|name| name != path && name.to_str().is_some());
        names.sort_unstable();
        let is_it = |name: &PathBuf| {
            Self::open_path(name).is_ok_and(|found| found.id() == id && found.mark() == mark)
        };
        names.into_iter().find(is_it)
    }
}

/// Tells whether an entry has the device and the inode of a namespace; whether it is one, and that one, is not looked at.
fn leads_to(entry: &DirEntry, id: NamespaceId) -> bool {
    let path = entry.path();
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => {
            let is_of_process = fs::read_link(&path).is_ok_and(|to| process_of(&to).is_some());
            is_of_process && NamespaceId::of_path(&path).is_ok_and(|found| found == id)
        }
        Ok(kind) if kind.is_file() => {
            let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
            let stat = rustix::fs::statat(CWD, &path, flags);
            stat.is_ok_and(|stat| NamespaceId::new(stat.st_dev, stat.st_ino) == id)
        }
        Ok(_) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process;

    use super::*;
    use crate::test_process::{child, end};

    #[test]
    fn a_link_to_a_process_that_was_renamed_is_found_and_no_other_process_of_the_namespace_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let of = |pid: u32| format!("/proc/{pid}/ns/net");
        symlink(of(process::id()), path("a")).unwrap();
        let namespace = NetNamespace::open_path(&path("a")).unwrap();
        let find = || NetNamespace::find_beside(&path("a"), namespace.id(), namespace.mark());
        assert_eq!(find(), None, "its own name is no other");
        fs::rename(path("a"), path("b")).unwrap();
        assert_eq!(find(), Some(path("b")));
        // Of several names the first, and what is no namespace is passed over.
        symlink(of(process::id()), path("aa")).unwrap();
        fs::write(path("0"), "").unwrap();
        fs::create_dir(path("1")).unwrap();
        symlink("nowhere", path("2")).unwrap();
        assert_eq!(find(), Some(path("aa")));
        // The same namespace, by a process that began at another time, as a new one with its number would have.
        let other = NamespaceMark(namespace.mark().0 + 1);
        assert_eq!(
            NetNamespace::find_beside(&path("a"), namespace.id(), other),
            None
        );
        fs::remove_file(path("aa")).unwrap();
        fs::remove_file(path("b")).unwrap();
        assert_eq!(find(), None);
        let other = child();
        symlink(of(other.id()), path("b")).unwrap();
        // Both may have begun within one tick of the clock.
        let is_same_tick = NamespaceMark::of_process(other.id()).unwrap() == namespace.mark();
        assert_eq!(find().is_some(), is_same_tick);
        end(other);
    }

    #[test]
    fn links_that_lead_elsewhere_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let own = NetNamespace::open_pid(process::id()).unwrap();
        let other = tempfile::tempdir().unwrap();
        let first = other.path().join("first");
        symlink(format!("/proc/{}/ns/net", process::id()), &first).unwrap();
        symlink(&first, dir.path().join("second")).unwrap();
        let asked = dir.path().join("gone");
        assert_eq!(
            NetNamespace::find_beside(&asked, own.id(), own.mark()),
            None
        );
        let nowhere = Path::new("/nowhere/gone");
        assert_eq!(
            NetNamespace::find_beside(nowhere, own.id(), own.mark()),
            None
        );
        let root = Path::new("/");
        assert_eq!(NetNamespace::find_beside(root, own.id(), own.mark()), None);
    }
}
