//! Memory that is shared with the kernel: one mapping, cut into buffers of equal length.
//!
//! A [`Buffer`] is the right to use its piece: there is one for each piece and it cannot be copied.
//! Whoever gives the kernel a piece to write to hands the buffer over to [`super::provided`] first.

use std::fmt;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A private mapping of zeroes, page-aligned. Pages that nobody touches cost nothing.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the whole process, and `start` is only ever read.
unsafe impl Send for Mapping {}
// SAFETY: as above; access to the memory goes through `Buffer`s and `super::provided`, each of which
// has its piece for itself.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: with a null address and without `FIXED` the kernel takes a free range of addresses, so
        // no memory that is in use changes.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), len, protection, MapFlags::PRIVATE) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Returns where in the mapping `bytes` lie, if wholly inside.
    pub(crate) fn locate(&self, bytes: &[u8]) -> Option<Range<usize>> {
        let start = bytes
            .as_ptr()
            .addr()
            .checked_sub(self.start.as_ptr().addr())?;
        let end = start.checked_add(bytes.len())?;
        (end <= self.len).then_some(start..end)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`; every user of it holds an `Arc` of this mapping, and
        // the last one is gone.
        let _cannot_fail = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The right to use one piece of a mapping.
#[derive(Debug)]
pub(crate) struct Buffer {
    id: u16,
    len: usize,
    start: NonNull<u8>,
    _mapping: Arc<Mapping>,
}

// SAFETY: a buffer is the only way to its piece, whichever thread it is on.
unsafe impl Send for Buffer {}

impl Buffer {
    /// Maps memory for `count` buffers of `len` bytes, numbered from 0.
    pub(crate) fn map(count: u16, len: usize) -> io::Result<(Arc<Mapping>, Vec<Self>)> {
        let mapping = Arc::new(Mapping::new(usize::from(count) * len)?);
        let buffers = (0..count)
            .map(|id| {
                // SAFETY: `id * len + len` is at most the length of the mapping, so the place is in it.
                let start = unsafe { mapping.start.add(usize::from(id) * len) };
                Self {
                    id,
                    len,
                    start,
                    _mapping: Arc::clone(&mapping),
                }
            })
            .collect();
        Ok((mapping, buffers))
    }

    pub(crate) const fn id(&self) -> u16 {
        self.id
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn addr(&self) -> usize {
        self.start.as_ptr().addr()
    }

    pub(crate) const fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `start` has `len` bytes that are mapped, initialised (zeroes at first) and, being
        // `u8`s, aligned; the mapping lives as long as `self`; no other buffer covers them, and the
        // kernel writes to them only while `self` is given away.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_lie_side_by_side_and_are_found_by_their_bytes() {
        let (mapping, mut buffers) = Buffer::map(3, 100).unwrap();
        buffers[1].bytes_mut().fill(7);
        assert!(buffers[0].bytes_mut().iter().all(|byte| *byte == 0));
        assert!(buffers[2].bytes_mut().iter().all(|byte| *byte == 0));
        assert_eq!(
            mapping.locate(&buffers[2].bytes_mut()[5..9]),
            Some(205..209)
        );
        assert_eq!(mapping.locate(&[0; 4]), None);
        drop(mapping);
        assert_eq!(buffers[1].bytes_mut()[99], 7);
    }
}
