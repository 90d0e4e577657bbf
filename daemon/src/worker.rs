//! One worker: a thread that reads its ports, decides and writes, and never waits for another.
//!
//! The control side talks to a worker by commands, which it handles between two turns of its event
//! loop, and waits for the answers; the worker waits for nobody. When an answer to
//! [`Worker::remove_port`] has come, the worker holds no descriptor of that port and runs on a
//! configuration without it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use tapweave_device::{Backend, Description, FrameSource, PortQueue, Reading, SourceNo, Waker};
use tapweave_net::PortNo;
use tracing::error;

use crate::forward::{Forwarder, WorkerCounters};

enum Command {
    AddPort {
        port: PortNo,
        queue: Arc<dyn PortQueue>,
        reading: Reading,
        answer: SyncSender<io::Result<()>>,
    },
    RemovePort {
        port: PortNo,
        answer: SyncSender<()>,
    },
    AddSource {
        number: SourceNo,
        source: Box<dyn FrameSource>,
        answer: SyncSender<io::Result<()>>,
    },
    RemoveSource {
        number: SourceNo,
        answer: SyncSender<Option<Box<dyn FrameSource>>>,
    },
    Answer(SyncSender<()>),
    Hold,
    GoOn,
    Stop,
}

/// The control side's hold on a worker. Dropping it stops the thread and joins it.
#[derive(Debug)]
pub(crate) struct Worker {
    commands: Sender<Command>,
    waker: Waker,
    counters: Arc<WorkerCounters>,
    backend: Arc<Mutex<Description>>,
    thread: Option<JoinHandle<()>>,
}

/// An answer that has been asked for and not yet waited for.
#[derive(Debug)]
pub(crate) struct Pending<T>(Receiver<T>);

impl<T> Pending<T> {
    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// When the worker has stopped.
    pub(crate) fn wait(self) -> io::Result<T> {
        self.0
            .recv()
            .map_err(|_stopped| io::Error::other("the worker has stopped"))
    }

    /// Tells whether the answer has come. It is lost by that.
    pub(crate) fn is_there(&self) -> bool {
        self.0.try_recv().is_ok()
    }
}

impl Worker {
    /// Starts the thread of worker `number`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a thread.
    pub(crate) fn start(
        number: usize,
        backend: Box<dyn Backend>,
        forwarder: Forwarder,
        counters: Arc<WorkerCounters>,
    ) -> io::Result<Self> {
        let (commands, inbox) = channel();
        let waker = backend.waker();
        let description = Arc::new(Mutex::new(backend.description()));
        let shown = Arc::clone(&description);
        let thread = Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || run(number, backend, forwarder, &inbox, &shown))?;
        Ok(Self {
            commands,
            waker,
            counters,
            backend: description,
            thread: Some(thread),
        })
    }

    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Returns the event loop that it runs now.
    pub(crate) fn backend(&self) -> Description {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the worker a queue to write to and, with [`Reading::Here`], to read.
    pub(crate) fn add_port(
        &self,
        port: PortNo,
        queue: Arc<dyn PortQueue>,
        reading: Reading,
    ) -> Pending<io::Result<()>> {
        self.ask(|answer| Command::AddPort {
            port,
            queue,
            reading,
            answer,
        })
    }

    /// Takes every queue of the port away from the worker.
    pub(crate) fn remove_port(&self, port: PortNo) -> Pending<()> {
        self.ask(|answer| Command::RemovePort { port, answer })
    }

    /// Gives the worker a source to read.
    pub(crate) fn add_source(
        &self,
        number: SourceNo,
        source: Box<dyn FrameSource>,
    ) -> Pending<io::Result<()>> {
        self.ask(|answer| Command::AddSource {
            number,
            source,
            answer,
        })
    }

    /// Takes a source away from the worker.
    pub(crate) fn remove_source(&self, number: SourceNo) -> Pending<Option<Box<dyn FrameSource>>> {
        self.ask(|answer| Command::RemoveSource { number, answer })
    }

    /// Asks whether the worker still makes progress; the answer says that it does.
    pub(crate) fn probe(&self) -> Pending<()> {
        self.ask(Command::Answer)
    }

    /// Has the worker forward nothing until [`Worker::go_on`]: frames wait in their queues. What else it is asked it
    /// does meanwhile.
    pub(crate) fn hold(&self) {
        self.tell(Command::Hold);
    }

    /// Has the worker forward again.
    pub(crate) fn go_on(&self) {
        self.tell(Command::GoOn);
    }

    /// Stops the worker when all that it has read is handled, and returns when it reads and writes nothing any more. Everything that it is asked after
    /// that fails.
    pub(crate) fn stop(&self) {
        self.tell(Command::Stop);
        // Not answered: what hears it ends with the thread.
        let _ended = self.probe().wait();
    }

    fn ask<T>(&self, command: impl FnOnce(SyncSender<T>) -> Command) -> Pending<T> {
        let (answer, pending) = sync_channel(1);
        // A worker that has stopped drops the command and with it `answer`, which `wait` reports.
        self.tell(command(answer));
        Pending(pending)
    }

    fn tell(&self, command: Command) {
        // One that has stopped does nothing any more, and needs no word for that.
        let _stopped = self.commands.send(command);
        self.waker.wake();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic has been reported when it happened.
            let _ignored = thread.join();
        }
    }
}

/// Runs a worker until it is told to stop, and reports if it ends otherwise.
fn run(
    number: usize,
    mut backend: Box<dyn Backend>,
    mut forwarder: Forwarder,
    inbox: &Receiver<Command>,
    shown: &Mutex<Description>,
) {
    // Nothing of a worker that panicked is used again but the way to report it.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        work(backend.as_mut(), &mut forwarder, inbox, shown)
    }));
    match outcome {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error!(worker = number, %error, "the event loop failed"),
        Err(_message_was_printed) => error!(worker = number, "the worker panicked"),
    }
    forwarder.report_end(number);
}

fn work(
    backend: &mut dyn Backend,
    forwarder: &mut Forwarder,
    inbox: &Receiver<Command>,
    shown: &Mutex<Description>,
) -> io::Result<()> {
    let mut description = backend.description();
    let mut is_held = false;
    loop {
        while let Some(command) = next_command(inbox, is_held) {
            match command {
                Command::AddPort {
                    port,
                    queue,
                    reading,
                    answer,
                } => {
                    forwarder.refresh();
                    // Nobody may be waiting any more; then the port is removed next.
                    let _ignored = answer.send(backend.add_port(port, queue, reading));
                }
                Command::RemovePort { port, answer } => {
                    forwarder.refresh();
                    backend.remove_port(port);
                    let _ignored = answer.send(());
                }
                Command::AddSource {
                    number,
                    source,
                    answer,
                } => {
                    // Nobody may be waiting any more; then the source is removed next.
                    let _ignored = answer.send(backend.add_source(number, source));
                }
                Command::RemoveSource { number, answer } => {
                    let _ignored = answer.send(backend.remove_source(number));
                }
                Command::Answer(answer) => {
                    // Nobody may be waiting any more.
                    let _ignored = answer.send(());
                }
                Command::Hold => is_held = true,
                Command::GoOn => is_held = false,
                Command::Stop => return backend.finish(forwarder),
            }
        }
        backend.turn(None, forwarder)?;
        forwarder.count_wakeup();
        if backend.description() != description {
            description = backend.description();
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = description;
        }
    }
}

/// Returns what the worker is to do next; one that is held has nothing else to wait for.
fn next_command(inbox: &Receiver<Command>, is_held: bool) -> Option<Command> {
    if is_held {
        inbox.recv().ok()
    } else {
        inbox.try_recv().ok()
    }
}
