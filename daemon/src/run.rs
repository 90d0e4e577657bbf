//! Starts everything, serves until told to stop, and takes everything down.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use tapweave_control::datapath::Datapath;
use tapweave_control::server::{ControlSocket, MetricsListener, serve};
use tapweave_control::{Controller, NetworkDefaults, SocketPath};
use tapweave_device::{
    Attacher, Backend, Capabilities, EpollBackend, FallbackBackend, UringBackend, advise_huge_pages,
};
use tapweave_ipam::DefaultPools;
use tapweave_nat::Nat;
use tapweave_store::Store;
use tapweave_switch::{Switch, SwitchConfig};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::chores::Chores;
use crate::clock::Clock;
use crate::datapath::{AtGateways, SwitchDatapath, Translation};
use crate::event::Event;
use crate::host::Machine;
use crate::manager::Manager;
use crate::nat_options::NatOptions;
use crate::overlay::{Overlay, UnderlayChoice};
use crate::program::{Program, Reloaded};
use crate::refusals;
use crate::resolver::{self, ResolverOptions, resolvers};
use crate::sandboxes::Sandboxes;
use crate::state::State;
use crate::uplink::{Uplink, UplinkOptions};
use crate::watchdog;
use crate::workers::Workers;

/// How long clients may take to finish their requests, and to read the answers, once the daemon stops.
const GRACE: Duration = Duration::from_secs(2);

/// How long the daemon waits before it serves until what was there before is there again. A sandbox that is held up
/// delays nothing else for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often what was there before is tried to be brought back before clients are served, and how long it rests in between.
const FIRST_ROUNDS: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Control requests that run at the same time; more wait their turn.
const BLOCKING_THREADS: usize = 16;

/// How many of these may deal with ends of sandboxes and interfaces at the same time: such a thread
/// waits while a helper is held up in the sandbox, and the others have to serve requests meanwhile.
const EVENT_THREADS: usize = 8;

/// What the daemon is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the control socket is.
    pub socket: SocketPath,
    /// Worker threads, at least 1. Each costs about 2 MB of address space for its buffers.
    pub worker_count: usize,
    /// How workers wait, read and write.
    pub backend: BackendChoice,
    /// Where overlays send from and listen; none for the addresses of the default routes.
    pub underlay: Vec<UnderlayChoice>,
    /// UDP port of overlays that do not say which.
    pub vxlan_port: u16,
    /// How long workers look for frames before they sleep; zero: not at all.
    pub busy_poll: Duration,
    /// How networks reach the world.
    pub uplink: UplinkOptions,
    /// Who is asked for the names of the world.
    pub resolver: ResolverOptions,
    /// How addresses are translated on the way there.
    pub nat: NatOptions,
    /// Where figures are given over TCP, to whoever connects; nowhere if none.
    pub metrics: Option<SocketAddr>,
    /// What new networks have when they do not say otherwise. A reload may change it.
    pub networks: NetworkDefaults,
    /// What is remembered, and where.
    pub state: State,
}

/// How workers wait, read and write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BackendChoice {
    /// `io_uring` where the kernel allows it, otherwise `epoll`; and `epoll` too when the ring fails later.
    #[default]
    Auto,
    /// `io_uring` or nothing: the daemon does not start without it, and a worker whose ring fails ends.
    Uring,
    /// `epoll`, which every kernel allows.
    Epoll,
}

impl BackendChoice {
    fn open(self, busy_poll: Duration) -> io::Result<Box<dyn Backend>> {
        match self {
            Self::Auto => match UringBackend::new(busy_poll) {
                Ok(ring) => Ok(Box::new(FallbackBackend::new(ring, busy_poll))),
                Err(error) => {
                    info!(reason = %error, "a worker uses epoll");
                    Ok(Box::new(EpollBackend::new(busy_poll)?))
                }
            },
            Self::Uring => {
                let ring = UringBackend::new(busy_poll).map_err(io::Error::other)?;
                Ok(Box::new(ring))
            }
            Self::Epoll => Ok(Box::new(EpollBackend::new(busy_poll)?)),
        }
    }
}

impl Options {
    /// Returns the options of a daemon that is told nothing but where its socket is. It remembers nothing.
    pub fn new(socket: SocketPath) -> Self {
        Self {
            socket,
            worker_count: 1,
            backend: BackendChoice::default(),
            underlay: Vec::new(),
            vxlan_port: 4789,
            busy_poll: Duration::ZERO,
            uplink: UplinkOptions::default(),
            nat: NatOptions::default(),
            resolver: ResolverOptions::default(),
            networks: NetworkDefaults::default(),
            state: State::Memory,
            metrics: None,
        }
    }
}

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
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;
    let socket = ControlSocket::bind(&options.socket, geteuid().as_raw())?;
    let metrics = match options.metrics {
        Some(address) => Some(listen_for_metrics(address).await?),
        None => None,
    };
    let clock = Clock::new();
    // Before anything is made: what is stored decides what there is to be.
    let store = options.state.open(clock)?;
    raise_descriptor_limit();
    let capabilities = Capabilities::detect();
    for limit in capabilities.limits() {
        warn!("{limit}");
    }

    let switch = Arc::new(new_switch(options.worker_count)?);
    let (event_sender, events) = unbounded_channel();
    let open_backend = || options.backend.open(options.busy_poll);
    let workers = Workers::start(
        options.worker_count,
        &switch,
        clock,
        &event_sender,
        open_backend,
    )
    .context("cannot start the workers")?;
    let workers = Arc::new(workers);
    let sandboxes = Arc::new(Sandboxes::new().context("cannot watch namespaces")?);
    let nat = new_nat(options)?;
    let datapath = start_datapath(options, &switch, &workers, &sandboxes, &nat, clock)?;
    let instance = socket.path().display().to_string();
    let uplink = Uplink::open(&options.uplink, &capabilities, &datapath, &instance, clock);
    let uplink = Box::pin(uplink).await?;
    let controller = take_up(&datapath, options, store)?;

    let watch = sandboxes
        .watch(event_sender)
        .context("cannot watch namespaces")?;
    let something_happened = Arc::new(Notify::new());
    let mut report = tokio::spawn(report_events(
        Arc::clone(&controller),
        events,
        Arc::clone(&something_happened),
    ));
    bring_back(&controller).await;
    let mut chores = Chores::start(&datapath, &controller, Arc::clone(&switch), nat, clock);
    chores.audit(&controller, something_happened);
    let watchdog = tokio::spawn(watchdog::watch(workers, manager.clone()));
    let refusals = tokio::spawn(refusals::watch(switch, Arc::clone(&controller), clock));

    let socket_path = socket.path().to_owned();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut server = tokio::spawn(serve(Arc::clone(&controller), socket, metrics, async {
        // An error means that the sender is gone, which is a reason to stop too.
        let _ignored = stopped.await;
    }));
    info!(socket = %socket_path.display(), workers = options.worker_count, "serving");
    program
        .ready()
        .context("cannot say that the daemon is ready")?;
    let status = format!("serving on {}", socket_path.display());
    manager.ready(&status);
    let outcome = loop {
        tokio::select! {
            _ = terminate.recv() => {
                info!("stopping on SIGTERM");
                break Ok(());
            }
            _ = interrupt.recv() => {
                info!("stopping on SIGINT");
                break Ok(());
            }
            _ = hangup.recv() => {
                manager.reloading();
                let outcome = reload(program, &controller);
                manager.ready(&format!("{status}{outcome}"));
            }
            // Half a switch helps nobody: a service manager starts a whole one.
            _ = &mut report => break Err(anyhow!("a worker failed; the log above says how")),
        }
    };

    manager.stopping();
    watchdog.abort();
    // The server is there until here, so there is somebody to tell.
    let _ignored = stop.send(());
    if let Ok(served) = timeout(GRACE, &mut server).await {
        served.context("the control server failed")??;
    } else {
        warn!("a client did not finish its request and is not waited for");
        server.abort();
    }
    drop(watch);
    report.abort();
    drop(chores);
    refusals.abort();
    spawn_blocking(move || {
        drop(uplink);
        datapath.shut_down();
    })
    .await
    .context("cannot take the ports down")?;
    outcome
}

async fn listen_for_metrics(address: SocketAddr) -> Result<MetricsListener> {
    let listener = MetricsListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot give figures on {address}"))?;
    info!(address = %listener.address().unwrap_or(address), "giving figures");
    Ok(listener)
}

/// Joins everything that carries frames, and starts the resolver.
fn start_datapath(
    options: &Options,
    switch: &Arc<Switch>,
    workers: &Arc<Workers>,
    sandboxes: &Arc<Sandboxes>,
    nat: &Arc<Nat>,
    clock: Clock,
) -> Result<Arc<SwitchDatapath>> {
    let overlay = Overlay::new(
        options.underlay.clone(),
        options.vxlan_port,
        Arc::clone(workers),
        clock,
        random()?,
    )
    .context("cannot prepare for overlays")?;
    let (resolvers, resolver_inbox) = resolvers();
    let datapath = SwitchDatapath::new(
        Arc::clone(switch),
        AtGateways {
            translation: Translation::new(Arc::clone(switch), Arc::clone(nat), options.nat.ports),
            resolvers,
        },
        clock,
        Arc::clone(workers),
        overlay,
        Arc::clone(sandboxes),
        Attacher::new(PathBuf::from("/proc/self/exe")),
    );
    let to_answer = Arc::downgrade(&datapath);
    resolver::start(resolver_inbox, options.resolver.clone(), to_answer, clock)
        .context("cannot start the resolver")?;
    Ok(datapath)
}

/// Returns a controller that knows what an earlier daemon was asked for.
fn take_up(
    datapath: &Arc<SwitchDatapath>,
    options: &Options,
    store: Arc<dyn Store>,
) -> Result<Arc<Controller>> {
    let controller = Controller::open(
        Arc::clone(datapath) as Arc<dyn Datapath>,
        Arc::new(Machine),
        DefaultPools::default(),
        store,
    );
    let controller = controller.context("cannot take up what was there before")?;
    controller.set_network_defaults(options.networks.clone());
    Ok(Arc::new(controller))
}

/// Makes what an earlier daemon had anew; what takes longer than [`PATIENCE`] goes on meanwhile.
///
/// The kernel may take the interfaces of a daemon that was killed away only after its end, so what cannot be made is
/// tried again at once for a moment.
async fn bring_back(controller: &Arc<Controller>) {
    let rounds = async {
        for _ in 0..FIRST_ROUNDS {
            let controller = Arc::clone(controller);
            match spawn_blocking(move || controller.reconcile()).await {
                Ok(false) => return,
                Ok(true) => sleep(FIRST_PAUSE).await,
                Err(_panicked) => {
                    warn!("what was there before could not be brought back");
                    return;
                }
            }
        }
        warn!("not all that was there before is there again; it is tried again");
    };
    if timeout(PATIENCE, rounds).await.is_err() {
        warn!("bringing back what was there before takes longer, and goes on");
    }
}

/// Takes as many descriptors as the hard limit allows: a sandbox with one port needs four, and the
/// usual soft limit of 1,024 is made for programs that use `select`.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "the number of descriptors stays as limited as it was");
    }
}

fn new_switch(worker_count: usize) -> Result<Switch> {
    Ok(Switch::new(SwitchConfig {
        worker_count,
        seed: random()?,
    }))
}

fn new_nat(options: &Options) -> Result<Arc<Nat>> {
    let config = options.nat.config(random()?, options.worker_count);
    let nat = Nat::new(config);
    for memory in nat.memory() {
        if let Err(error) = advise_huge_pages(memory) {
            debug!(%error, "the table of flows has no huge pages");
        }
    }
    Ok(Arc::new(nat))
}

fn random() -> Result<u64> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).context("the kernel gives no random numbers")?;
    Ok(u64::from_ne_bytes(seed))
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
