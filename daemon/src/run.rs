//! Starts everything, serves until told to stop, and takes everything down.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use tapweave_control::Controller;
use tapweave_control::server::serve;
use tokio::runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use crate::chores::Chores;
use crate::ending::{Ending, Signals, finish_requests, hand_over, until_told};
use crate::event::Event;
use crate::manager::Manager;
use crate::options::Options;
use crate::program::{Program, Reloaded};
use crate::refusals;
use crate::start::{Started, bring_back, start};
use crate::takeover::Door;
use crate::watchdog;

/// Control requests that run at the same time; more wait their turn.
const BLOCKING_THREADS: usize = 16;

/// How many of these may deal with ends of sandboxes and interfaces at the same time: such a thread
/// waits while a helper is held up in the sandbox, and the others have to serve requests meanwhile.
const EVENT_THREADS: usize = 8;

/// Runs the daemon until SIGTERM or SIGINT.
///
/// Tells `program` when it serves, and asks it to read the configuration again on SIGHUP. The program must
/// call [`tapweave_device::run_helper_if_requested`] first of all in `main`.
///
/// # Errors
///
/// When it cannot start: the socket is taken, the kernel refuses threads or descriptors. What the
/// kernel refuses of single features is only logged.
pub fn run(options: &Options, program: &mut dyn Program) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("control")
        .build()
        .context("cannot start the control plane's runtime")?;
    runtime.block_on(run_until_stopped(options, program))
}

async fn run_until_stopped(options: &Options, program: &mut dyn Program) -> Result<()> {
    let manager = Manager::from_env();
    let signals = Signals::handle()?;
    let Started {
        // Dropped last: what it is waiting for is free by then.
        predecessor,
        clock,
        switch,
        workers,
        sandboxes,
        nat,
        holdings,
        datapath,
        controller,
        uplink,
        socket,
        metrics,
        event_sender,
        events,
    } = Box::pin(start(options)).await?;
    let watch = sandboxes
        .watch(event_sender)
        .context("cannot watch namespaces")?;
    let something_happened = Arc::new(Notify::new());
    let mut report = tokio::spawn(report_events(
        Arc::clone(&controller),
        events,
        Arc::clone(&something_happened),
    ));
    Box::pin(bring_back(&controller, &holdings, &datapath)).await;
    datapath.settle();
    let chores = Chores::start(
        &datapath,
        &controller,
        Arc::clone(&switch),
        nat,
        clock,
        &something_happened,
    );
    let watchdog = tokio::spawn(watchdog::watch(workers, manager.clone()));
    let refusals = tokio::spawn(refusals::watch(switch, Arc::clone(&controller), clock));

    let socket_path = socket.path().to_owned();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut server = tokio::spawn(Box::pin(serve(
        Arc::clone(&controller),
        socket,
        metrics,
        async {
            // An error means that the sender is gone, which is a reason to stop too.
            let _ignored = stopped.await;
        },
    )));
    info!(socket = %socket_path.display(), workers = options.worker_count, "serving");
    // Who was told that this one is ready may start the next one at once.
    let door = Door::open(&options.state);
    program
        .ready()
        .context("cannot say that the daemon is ready")?;
    let status = format!("serving on {}", socket_path.display());
    manager.ready(&status);
    if let Some(predecessor) = predecessor {
        datapath.tell_pause();
        predecessor.dismiss();
    }
    let told = until_told(signals, door, || {
        manager.reloading();
        let outcome = reload(program, &controller);
        manager.ready(&format!("{status}{outcome}"));
    });
    let ending = tokio::select! {
        ending = Box::pin(told) => ending,
        // Half a switch helps nobody: a service manager starts a whole one.
        _ = &mut report => Ending::Stop(Err(anyhow!("a worker failed; the log above says how"))),
    };

    if let Ending::Stop(_) = &ending {
        manager.stopping();
    }
    watchdog.abort();
    // The server is there until here, so there is somebody to tell.
    let _ignored = stop.send(());
    Box::pin(finish_requests(&mut server)).await?;
    drop(watch);
    report.abort();
    drop(chores);
    refusals.abort();
    match ending {
        Ending::Stop(outcome) => {
            let take_down = move || {
                drop(uplink);
                datapath.shut_down();
            };
            let taken_down = spawn_blocking(take_down).await;
            taken_down.context("cannot take the ports down")?;
            outcome
        }
        Ending::HandOver(successor) => {
            holdings.leave_unclaimed();
            let handed_over = hand_over(successor, controller, uplink, datapath);
            Box::pin(handed_over).await
        }
    }
}

/// Tells the controller what happened, until a worker fails; returns its number.
async fn report_events(
    controller: Arc<Controller>,
    mut events: UnboundedReceiver<Event>,
    happened: Arc<Notify>,
) -> Option<usize> {
    let threads = Arc::new(Semaphore::new(EVENT_THREADS));
    loop {
        // Not waited for: the end of one sandbox does not have to wait for that of another.
        match events.recv().await? {
            Event::SandboxEnded(sandbox) => {
                let controller = Arc::clone(&controller);
                let happened = Arc::clone(&happened);
                let work = move || {
                    controller.sandbox_ended(sandbox);
                    happened.notify_one();
                };
                tokio::spawn(report(&threads, work));
            }
            Event::PortFailed(port) => {
                let controller = Arc::clone(&controller);
                let happened = Arc::clone(&happened);
                let work = move || {
                    controller.port_failed(port);
                    happened.notify_one();
                };
                tokio::spawn(report(&threads, work));
            }
            Event::WorkerFailed(number) => return Some(number),
        }
    }
}

/// Makes a report on one of `threads`.
fn report(
    threads: &Arc<Semaphore>,
    report: impl FnOnce() + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let threads = Arc::clone(threads);
    async move {
        let _permit = threads.acquire().await;
        // A report that panicked has said so.
        let _panicked = spawn_blocking(report).await;
    }
}

/// Has the configuration read again and applies what can be applied. Returns what the service manager is
/// told of it besides: nothing when all is well.
fn reload(program: &mut dyn Program, controller: &Controller) -> &'static str {
    let Reloaded {
        networks,
        applied,
        need_restart,
    } = match program.reload() {
        Ok(reloaded) => reloaded,
        Err(error) => {
            error!("the configuration stays as it was: {error:#}");
            return "; the last reload was refused, see the log";
        }
    };
    controller.set_network_defaults(networks);
    let list = |keys: &[&str]| match keys {
        [] => "nothing".to_owned(),
        keys => keys.join(", "),
    };
    info!(changed = list(&applied), "configuration read again");
    if need_restart.is_empty() {
        return "";
    }
    warn!(
        keys = list(&need_restart),
        "a restart is needed for what has changed"
    );
    "; what has changed needs a restart, see the log"
}
