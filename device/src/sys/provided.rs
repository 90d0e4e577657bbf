//! The ring of buffers that the kernel takes from when a read has data (`man 3 io_uring_setup_buf_ring`).
//!
//! The kernel takes entries from the head, which it keeps to itself; we add at the tail, which stands
//! in the memory of the first entry.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::arena::{Buffer, Mapping};

/// Buffers that lie with the kernel.
#[derive(Debug)]
pub(crate) struct Provided {
    entries: Mapping,
    /// A power of two, at most 2^15.
    entry_count: u16,
    tail: u16,
    /// By number; those that the kernel may write to.
    lent: Vec<Option<Buffer>>,
    lent_count: usize,
}

impl Provided {
    /// Registers an empty ring of `entry_count` entries, a power of two, as buffer group `group`.
    pub(crate) fn register(
        submitter: &Submitter<'_>,
        group: u16,
        entry_count: u16,
    ) -> io::Result<Self> {
        let entries = Mapping::new(usize::from(entry_count) * size_of::<BufRingEntry>())?;
        let addr = entries.start().as_ptr().addr() as u64;
        // SAFETY: `entries` is page-aligned and as long as the kernel is told; `Provided` is dropped
        // after the ring (see `super::ring::Ring`), so the memory is there as long as the group is.
        unsafe { submitter.register_buf_ring_with_flags(addr, entry_count, group, 0) }?;
        Ok(Self {
            entries,
            entry_count,
            tail: 0,
            lent: Vec::new(),
            lent_count: 0,
        })
    }

    pub(crate) const fn lent_count(&self) -> usize {
        self.lent_count
    }

    pub(crate) const fn has_room(&self) -> bool {
        self.lent_count < self.entry_count as usize
    }

    /// Lends a buffer to the kernel, which may write to it from byte `from` on; gives it back when the
    /// ring is full.
    pub(crate) fn lend(&mut self, buffer: Buffer, from: usize) -> Result<(), Buffer> {
        let len = u32::try_from(buffer.len() - from.min(buffer.len()));
        let (true, Ok(len)) = (self.has_room(), len) else {
            return Err(buffer);
        };
        let place = usize::from(self.tail & (self.entry_count - 1));
        let first: NonNull<BufRingEntry> = self.entries.start().cast();
        // SAFETY: `place` is below the number of entries that the mapping was made for.
        let entry = unsafe { first.add(place) };
        // SAFETY: the entry is mapped and aligned (16 bytes from a page boundary), any bytes are valid
        // for it, and the kernel reads it only after the tail has passed it, below.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr((buffer.addr() + from) as u64);
        entry.set_len(len);
        entry.set_bid(buffer.id());
        let id = usize::from(buffer.id());
        if self.lent.len() <= id {
            self.lent.resize_with(id + 1, || None);
        }
        if let Some(slot) = self.lent.get_mut(id) {
            *slot = Some(buffer);
        }
        self.lent_count += 1;
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the first entry is mapped and initialised memory, page-aligned.
        let tail = unsafe { BufRingEntry::tail(first.as_ptr()) };
        // SAFETY: `tail` is an aligned `u16` inside the mapping, which the kernel only reads; this thread
        // writes it through this atomic only.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: the kernel sees the entry when it sees the tail.
        tail.store(self.tail, Ordering::Release);
        Ok(())
    }

    /// Takes a buffer that the kernel has filled, as a completion says; none when it was not lent.
    pub(crate) fn take(&mut self, id: u16) -> Option<Buffer> {
        let buffer = self.lent.get_mut(usize::from(id))?.take()?;
        self.lent_count -= 1;
        Some(buffer)
    }
}
