//! The receive buffers of one worker that are not with the kernel.
//!
//! A frame may be written to many ports, so its buffer is free again when the handler is done with it
//! *and* its last write has completed. The buffer that became free last is used first: its memory is
//! most likely still in the cache.

use std::io;
use std::sync::Arc;

use crate::file_queue::clear_addresses;
use crate::queue::RECV_BUF_LEN;
use crate::sys::arena::{Buffer, Mapping};

/// Buffers, and how many writes each of them waits for.
#[derive(Debug)]
pub(super) struct Pool {
    free: Vec<Buffer>,
    /// By number of the buffer.
    uses: Vec<Use>,
}

#[derive(Debug, Default)]
struct Use {
    write_count: usize,
    /// The buffer, when only writes still need it.
    waiting: Option<Buffer>,
}

impl Pool {
    /// Maps `count` buffers of [`RECV_BUF_LEN`] bytes.
    pub(super) fn map(count: u16) -> io::Result<(Arc<Mapping>, Self)> {
        let (mapping, free) = Buffer::map(count, RECV_BUF_LEN)?;
        let uses = free.iter().map(|_| Use::default()).collect();
        Ok((mapping, Self { free, uses }))
    }

    /// Returns the number of the buffer in which the byte at `offset` of the mapping lies.
    pub(super) fn buffer_at(offset: usize) -> u16 {
        u16::try_from(offset / RECV_BUF_LEN).unwrap_or(u16::MAX)
    }

    /// Takes a free buffer.
    pub(super) fn take(&mut self) -> Option<Buffer> {
        self.free.pop()
    }

    /// Gives back a buffer that the kernel did not want.
    pub(super) fn put_back(&mut self, buffer: Buffer) {
        self.free.push(buffer);
    }

    /// A write from the buffer of this number was asked for.
    pub(super) fn write_queued(&mut self, id: u16) {
        if let Some(entry) = self.uses.get_mut(usize::from(id)) {
            entry.write_count += 1;
        }
    }

    /// A write from the buffer of this number has completed.
    pub(super) fn write_completed(&mut self, id: u16) {
        let Some(entry) = self.uses.get_mut(usize::from(id)) else {
            return;
        };
        entry.write_count = entry.write_count.saturating_sub(1);
        if entry.write_count == 0
            && let Some(buffer) = entry.waiting.take()
        {
            self.release(buffer);
        }
    }

    /// The handler is done with a buffer.
    pub(super) fn handled(&mut self, buffer: Buffer) {
        match self.uses.get_mut(usize::from(buffer.id())) {
            Some(entry) if entry.write_count > 0 => entry.waiting = Some(buffer),
            Some(_) | None => self.release(buffer),
        }
    }

    fn release(&mut self, mut buffer: Buffer) {
        clear_addresses(buffer.bytes_mut());
        self.free.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::HEADROOM;

    #[test]
    fn a_buffer_is_free_when_handler_and_writes_are_done_in_any_order() {
        let (_mapping, mut pool) = Pool::map(1).unwrap();
        let mut buffer = pool.take().unwrap();
        buffer.bytes_mut().fill(7);
        pool.write_queued(0);
        pool.write_queued(0);
        pool.write_completed(0);
        pool.handled(buffer);
        assert!(pool.take().is_none());
        pool.write_completed(0);
        let mut buffer = pool.take().unwrap();
        assert_eq!(buffer.bytes_mut()[HEADROOM..HEADROOM + 13], {
            let mut expected = [0; 13];
            expected[12] = 7;
            expected
        });
        pool.write_queued(0);
        pool.write_completed(0);
        pool.handled(buffer);
        assert!(pool.take().is_some());
    }
}
