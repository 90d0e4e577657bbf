//! An `io_uring`: requests in, completions out.
//!
//! What is asked for here cannot harm memory: reads go to buffers that were lent ([`Provided`]),
//! writes come from a mapping that the ring keeps alive. That a buffer's bytes stay as they are until
//! its write has completed, and that a descriptor stays open while requests use it, is the caller's
//! business; otherwise the wrong bytes are sent, or a request fails.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::types::{Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, cqueue, opcode, squeue};
use rustix::io::Errno;

use super::arena::{Buffer, Mapping};
use super::provided::Provided;

/// `IORING_ENTER_GETEVENTS`: run what is waiting to be completed.
const ENTER_GETEVENTS: u32 = 1;

/// The only buffer group.
const GROUP: u16 = 0;

/// The file of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum File {
    /// A descriptor.
    Plain(RawFd),
    /// A place in the table of registered files.
    Registered(u32),
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Completion {
    /// As the request said.
    pub(crate) user_data: u64,
    /// Bytes or whatever the request returns.
    pub(crate) result: Result<u32, Errno>,
    /// The buffer that was filled.
    pub(crate) buffer: Option<u16>,
    /// The request goes on and will complete again.
    pub(crate) more: bool,
}

/// An `io_uring` for one thread: the one that enters it first.
pub(crate) struct Ring {
    /// Dropped first: then the kernel uses none of the memory below any more.
    inner: IoUring,
    provided: Provided,
    /// What is written from.
    mapping: Arc<Mapping>,
    state: State,
    /// What has completed and was not taken yet.
    completions: Vec<Completion>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Made, and not yet bound to a thread.
    Disabled,
    Enabled,
}

/// Tells whether this kernel has all requests that a [`Ring`] makes.
pub(crate) fn probe() -> io::Result<bool> {
    let ring = builder().build(2)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    Ok([
        opcode::ReadMulti::CODE,
        opcode::Write::CODE,
        opcode::PollAdd::CODE,
        opcode::AsyncCancel::CODE,
    ]
    .into_iter()
    .all(|code| probe.is_supported(code)))
}

fn builder() -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_submit_all()
        .setup_r_disabled();
    builder
}

impl Ring {
    /// Makes a ring that writes from `mapping` and has place for `entry_count` requests at a time and
    /// `provided_count` buffers to read to, both powers of two.
    pub(crate) fn new(
        entry_count: u32,
        completion_count: u32,
        provided_count: u16,
        mapping: Arc<Mapping>,
    ) -> io::Result<Self> {
        let ring = builder()
            .setup_cqsize(completion_count)
            .build(entry_count)?;
        let provided = Provided::register(&ring.submitter(), GROUP, provided_count)?;
        Ok(Self {
            inner: ring,
            provided,
            mapping,
            state: State::Disabled,
            completions: Vec::new(),
        })
    }

    /// Makes a table of `count` places for files.
    pub(crate) fn register_file_table(&self, count: u32) -> io::Result<()> {
        self.inner.submitter().register_files_sparse(count)
    }

    /// Puts a file into the table.
    pub(crate) fn register_file(&self, place: u32, file: BorrowedFd<'_>) -> io::Result<()> {
        let files = [file.as_raw_fd()];
        let _one = self
            .inner
            .submitter()
            .register_files_update(place, &files)?;
        Ok(())
    }

    /// Takes a file out of the table.
    pub(crate) fn unregister_file(&self, place: u32) -> io::Result<()> {
        let _one = self.inner.submitter().register_files_update(place, &[-1])?;
        Ok(())
    }

    pub(crate) const fn lent_count(&self) -> usize {
        self.provided.lent_count()
    }

    /// Takes a buffer that a read has filled, as its completion says; none when it was not lent.
    pub(crate) fn take_lent(&mut self, id: u16) -> Option<Buffer> {
        self.provided.take(id)
    }

    /// Lends a buffer for reads, from its byte `from` on.
    pub(crate) fn lend(&mut self, buffer: Buffer, from: usize) -> Result<(), Buffer> {
        self.provided.lend(buffer, from)
    }

    /// Asks for reads into lent buffers until there are none, one completion each.
    pub(crate) fn push_read(&mut self, file: File, user_data: u64) -> io::Result<()> {
        let request = match file {
            File::Plain(fd) => opcode::ReadMulti::new(Fd(fd), 0, GROUP).build(),
            File::Registered(place) => opcode::ReadMulti::new(Fixed(place), 0, GROUP).build(),
        };
        self.push(&request.user_data(user_data))
    }

    /// Asks for one write, now or not at all. `bytes` must lie in the ring's mapping: otherwise nothing
    /// is asked for and `false` returned.
    pub(crate) fn push_write(
        &mut self,
        file: File,
        bytes: &[u8],
        user_data: u64,
    ) -> io::Result<bool> {
        let (Some(_), Ok(len)) = (self.mapping.locate(bytes), u32::try_from(bytes.len())) else {
            return Ok(false);
        };
        // Never waits for the device, and so never completes after a later write.
        let flags = libc::RWF_NOWAIT;
        let from = bytes.as_ptr();
        let request = match file {
            File::Plain(fd) => opcode::Write::new(Fd(fd), from, len),
            File::Registered(place) => opcode::Write::new(Fixed(place), from, len),
        };
        let request = request.rw_flags(flags).build();
        self.push(&request.user_data(user_data))?;
        Ok(true)
    }

    /// Asks for one completion when `fd` is readable.
    pub(crate) fn push_poll(&mut self, fd: BorrowedFd<'_>, user_data: u64) -> io::Result<()> {
        let events = u32::from(libc::POLLIN.unsigned_abs());
        let request = opcode::PollAdd::new(Fd(fd.as_raw_fd()), events).build();
        self.push(&request.user_data(user_data))
    }

    /// Asks for the end of the request with `target`, which then completes with `ECANCELED`.
    pub(crate) fn push_cancel(&mut self, target: u64, user_data: u64) -> io::Result<()> {
        let request = opcode::AsyncCancel::new(target).build();
        self.push(&request.user_data(user_data))
    }

    fn push(&mut self, request: &squeue::Entry) -> io::Result<()> {
        if self.inner.submission().is_full() {
            self.submit()?;
        }
        let mut queue = self.inner.submission();
        // SAFETY: the callers above ask for nothing that reads or writes memory but lent buffers and
        // bytes of `mapping`, both of which live until the ring is gone.
        unsafe { queue.push(request) }.map_err(io::Error::other)
    }

    /// Gives the kernel all requests that wait; writes are complete when this returns.
    pub(crate) fn submit(&mut self) -> io::Result<()> {
        self.enable()?;
        while !self.inner.submission().is_empty() {
            let outcome = self.inner.submitter().submit();
            self.collect();
            match outcome {
                Err(error) if error.raw_os_error() != Some(libc::EINTR) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Submits, and waits for a completion until `timeout` is over (none: for ever).
    pub(crate) fn submit_and_wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.enable()?;
        let outcome = match timeout {
            None => self.inner.submitter().submit_and_wait(1),
            Some(Duration::ZERO) => self.poll(),
            Some(timeout) => {
                let timeout = Timespec::from(timeout);
                let arguments = SubmitArgs::new().timespec(&timeout);
                self.inner.submitter().submit_with_args(1, &arguments)
            }
        };
        self.collect();
        match outcome {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::ETIME)) => {
                Err(error)
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Submits and completes what can be completed, without waiting.
    fn poll(&mut self) -> io::Result<usize> {
        let count = self.inner.submission().len();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let submitter = self.inner.submitter();
        // SAFETY: without an argument and without waiting the call uses no memory but the rings', and
        // there are `count` requests in the queue.
        unsafe { submitter.enter::<()>(count, 0, ENTER_GETEVENTS, None) }
    }

    /// Binds the ring to this thread, unless it is bound.
    fn enable(&mut self) -> io::Result<()> {
        if self.state == State::Disabled {
            self.inner.submitter().register_enable_rings()?;
            self.state = State::Enabled;
        }
        Ok(())
    }

    /// Moves what has completed so far to the end of `completions`, in order.
    pub(crate) fn take_completions(&mut self, completions: &mut VecDeque<Completion>) {
        completions.extend(self.completions.drain(..));
    }

    fn collect(&mut self) {
        let entries = self.inner.completion();
        self.completions.extend(entries.map(|entry| {
            Completion {
                user_data: entry.user_data(),
                result: u32::try_from(entry.result())
                    .map_err(|_negative| Errno::from_raw_os_error(-entry.result())),
                buffer: cqueue::buffer_select(entry.flags()),
                more: cqueue::more(entry.flags()),
            }
        }));
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("provided", &self.provided)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
