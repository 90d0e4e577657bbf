//! Starts everything, and brings back what there was.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use tapweave_control::Controller;
use tapweave_control::datapath::Datapath;
use tapweave_control::server::{BindError, ControlSocket, MetricsListener};
use tapweave_device::{Attacher, Capabilities, advise_huge_pages};
use tapweave_ipam::DefaultPools;
use tapweave_nat::Nat;
use tapweave_store::{OpenError, Store};
use tapweave_switch::{Switch, SwitchConfig};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::carry;
use crate::clock::Clock;
use crate::datapath::{AtGateways, Interfaces, SwitchDatapath, Translation};
use crate::dhcp::{self, DhcpInbox, dhcp_servers};
use crate::event::Event;
use crate::holdings::Holdings;
use crate::host::Machine;
use crate::options::{Options, Start};
use crate::overlay::Overlay;
use crate::resolver::{self, resolvers};
use crate::sandboxes::Sandboxes;
use crate::takeover::Predecessor;
use crate::uplink::Uplink;
use crate::workers::Workers;

/// How long the daemon waits before it serves until what was there before is there again. A sandbox that is held up
/// delays nothing else for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often what was there before is tried to be brought back before clients are served, and how long it rests in between.
const FIRST_ROUNDS: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How long frames wait at most for what they go to. Whoever is there again would lose what it sends to those who are not,
/// and a connection that has lost something rests for 200 ms and more. A sandbox that is held up is not waited for.
const HOLD_LIMIT: Duration = Duration::from_secs(1);

/// How often what only one daemon can have is asked for while another process has it, and how long it rests in between. A
/// daemon that is killed just as it starts a helper leaves copies of its descriptors, its locks among them, to the process
/// that is about to become the helper.
const PLACE_ROUNDS: u32 = 100;
const PLACE_PAUSE: Duration = Duration::from_millis(10);

/// What a daemon consists of, before anything of it serves.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) clock: Clock,
    pub(crate) switch: Arc<Switch>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) sandboxes: Arc<Sandboxes>,
    pub(crate) nat: Arc<Nat>,
    pub(crate) holdings: Arc<Holdings>,
    pub(crate) datapath: Arc<SwitchDatapath>,
    pub(crate) controller: Arc<Controller>,
    pub(crate) uplink: Uplink,
    pub(crate) socket: ControlSocket,
    pub(crate) metrics: Option<MetricsListener>,
    pub(crate) event_sender: UnboundedSender<Event>,
    pub(crate) events: UnboundedReceiver<Event>,
    /// The daemon that was taken over from, which forwards no more.
    pub(crate) predecessor: Option<Predecessor>,
}

/// Starts what takes time, takes what only one daemon can have, and then what is to be from the store.
pub(crate) async fn start(options: &Options) -> Result<Started> {
    let clock = Clock::new();
    let mut predecessor = match options.start {
        Start::Alone => None,
        Start::TakeOver => Predecessor::find(&options.state)?,
    };
    // Before anything is made: what is stored decides what there is to be.
    let free = match predecessor {
        None => Some(Box::pin(Places::take(options, clock)).await?),
        Some(_) => None,
    };
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
    workers.hold();
    let sandboxes = Arc::new(Sandboxes::new().context("cannot watch namespaces")?);
    let nat = new_nat(options)?;
    if let Some(predecessor) = &mut predecessor {
        predecessor.prepare()?;
    }
    let Places {
        socket,
        metrics,
        store,
    } = match free {
        Some(free) => free,
        None => Box::pin(Places::take(options, clock)).await?,
    };
    let holdings = Arc::new(Holdings::open(&options.state, options.hold));
    let (datapath, inbox) = start_datapath(
        options, &switch, &workers, &sandboxes, &nat, &holdings, clock,
    )?;
    let instance = socket.path().display().to_string();
    let controller = take_up(&datapath, options, store, inbox, clock)?;
    let mut flows = carry::left_flows(&holdings);
    if let Some(predecessor) = &mut predecessor {
        // The long part of it, while that one forwards.
        datapath.inherit_flows(flows.look());
        prepare(&controller).await?;
        predecessor.stop()?;
        holdings.look_again();
    }
    datapath.inherit_flows(flows.look());
    datapath.inherit(carry::left_learned(&holdings));
    let place = (instance.as_str(), clock);
    let uplink = Uplink::open(&options.uplink, &capabilities, &datapath, &holdings, place);
    let uplink = Box::pin(uplink).await?;
    Ok(Started {
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
        predecessor,
    })
}

/// What only one daemon can have.
#[derive(Debug)]
struct Places {
    socket: ControlSocket,
    metrics: Option<MetricsListener>,
    store: Arc<dyn Store>,
}

impl Places {
    async fn take(options: &Options, clock: Clock) -> Result<Self> {
        for _ in 0..PLACE_ROUNDS {
            match Self::take_now(options, clock).await {
                Err(error) if is_in_use(&error) => sleep(PLACE_PAUSE).await,
                taken => return taken,
            }
        }
        Self::take_now(options, clock).await
    }

    async fn take_now(options: &Options, clock: Clock) -> Result<Self> {
        let socket = ControlSocket::bind(&options.socket, geteuid().as_raw())?;
        let metrics = match options.metrics {
            Some(address) => Some(listen_for_metrics(address).await?),
            None => None,
        };
        let store = options.state.open(clock)?;
        Ok(Self {
            socket,
            metrics,
            store,
        })
    }
}

/// Tells whether it was refused because another process has it.
fn is_in_use(refusal: &anyhow::Error) -> bool {
    matches!(refusal.downcast_ref(), Some(BindError::InUse(_)))
        || matches!(refusal.downcast_ref(), Some(OpenError::InUse { .. }))
        || (refusal.downcast_ref()).is_some_and(|it: &io::Error| it.kind() == ErrorKind::AddrInUse)
}

async fn listen_for_metrics(address: SocketAddr) -> Result<MetricsListener> {
    let listener = MetricsListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot give figures on {address}"))?;
    info!(address = %listener.address().unwrap_or(address), "giving figures");
    Ok(listener)
}

/// Joins everything that carries frames, and starts the resolver. Returns what the DHCP server is to listen to besides.
fn start_datapath(
    options: &Options,
    switch: &Arc<Switch>,
    workers: &Arc<Workers>,
    sandboxes: &Arc<Sandboxes>,
    nat: &Arc<Nat>,
    holdings: &Arc<Holdings>,
    clock: Clock,
) -> Result<(Arc<SwitchDatapath>, DhcpInbox)> {
    let overlay = Overlay::new(
        options.underlay.clone(),
        options.vxlan_port,
        Arc::clone(workers),
        clock,
        random()?,
        Arc::clone(holdings),
    )
    .context("cannot prepare for overlays")?;
    let (resolvers, resolver_inbox) = resolvers();
    let (dhcp, dhcp_inbox) = dhcp_servers();
    let datapath = SwitchDatapath::new(
        Arc::clone(switch),
        AtGateways {
            translation: Translation::new(
                Arc::clone(switch),
                Arc::clone(nat),
                options.nat.ports,
                clock,
                carry::journal(holdings, nat),
            ),
            resolvers,
            dhcp,
        },
        clock,
        Arc::clone(workers),
        overlay,
        Arc::clone(sandboxes),
        Interfaces::new(
            Attacher::new(PathBuf::from("/proc/self/exe")),
            Arc::clone(holdings),
        ),
    );
    let to_answer = Arc::downgrade(&datapath);
    resolver::start(resolver_inbox, options.resolver.clone(), to_answer, clock)
        .context("cannot start the resolver")?;
    Ok((datapath, dhcp_inbox))
}

/// Returns a controller that knows what an earlier daemon was asked for, and starts the DHCP server, which has its
/// addresses from there.
fn take_up(
    datapath: &Arc<SwitchDatapath>,
    options: &Options,
    store: Arc<dyn Store>,
    inbox: DhcpInbox,
    clock: Clock,
) -> Result<Arc<Controller>> {
    let controller = Controller::open(
        Arc::clone(datapath) as Arc<dyn Datapath>,
        Arc::new(Machine),
        DefaultPools::default(),
        store,
    );
    let controller = controller.context("cannot take up what was there before")?;
    controller.set_network_defaults(options.networks.clone());
    let controller = Arc::new(controller);
    let (to_answer, to_lease) = (Arc::downgrade(datapath), Arc::downgrade(&controller));
    dhcp::start(inbox, to_answer, to_lease, clock).context("cannot start the DHCP server")?;
    Ok(controller)
}

/// Makes what does not need what only one daemon can have.
async fn prepare(controller: &Arc<Controller>) -> Result<()> {
    let controller = Arc::clone(controller);
    let prepared = spawn_blocking(move || controller.prepare()).await;
    prepared.context("cannot make what was there before")
}

/// Brings back what an earlier daemon had; what takes longer than [`PATIENCE`] goes on meanwhile.
///
/// The kernel may take the interfaces of a daemon that was killed away only after its end, so what cannot be made is
/// tried again at once for a moment. What is held and was not taken up by then is let go of, which nobody waits for.
///
/// Forwarding begins when everything was tried once, or [`HOLD_LIMIT`] is over.
pub(crate) async fn bring_back(
    controller: &Arc<Controller>,
    holdings: &Arc<Holdings>,
    datapath: &Arc<SwitchDatapath>,
) {
    let (controller, holdings) = (Arc::clone(controller), Arc::clone(holdings));
    let impatient = Arc::clone(datapath);
    tokio::spawn(async move {
        sleep(HOLD_LIMIT).await;
        impatient.go_on();
    });
    let datapath = Arc::clone(datapath);
    let rounds = tokio::spawn(async move {
        if let Err(reason) = reconcile_soon(&controller, &datapath).await {
            warn!("not all that was there before is there again: {reason}");
        }
        drop(spawn_blocking(move || holdings.release_unclaimed()));
    });
    if timeout(PATIENCE, rounds).await.is_err() {
        warn!("bringing back what was there before takes longer, and goes on");
    }
}

/// Reconciles until nothing waits any more, a few times. After the first time frames are forwarded.
async fn reconcile_soon(
    controller: &Arc<Controller>,
    datapath: &SwitchDatapath,
) -> Result<(), &'static str> {
    for _ in 0..FIRST_ROUNDS {
        let controller = Arc::clone(controller);
        let reconciled = spawn_blocking(move || controller.reconcile()).await;
        datapath.go_on();
        match reconciled {
            Ok(false) => return Ok(()),
            Ok(true) => sleep(FIRST_PAUSE).await,
            Err(_panicked) => return Err("the attempt failed"),
        }
    }
    Err("it is tried again")
}

/// Takes as many descriptors as the hard limit allows: a sandbox with one port needs five, and the
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
