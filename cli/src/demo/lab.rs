//! What the demo runs on: a private daemon, two networks, four sandboxes, and the world outside.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::geteuid;
use tapweave_control::api::{Connect, CreateNetwork, Endpoint, NetworkInspect};
use tapweave_control::client::{Client, ClientError};
use tapweave_control::datapath::NamespaceRef;
use tapweave_daemon::Clock;
use tokio::runtime::{self, Runtime};

use super::agent::{Agent, Home, Reply, Request};
use super::daemon::Daemon;

/// Network and name of each sandbox.
const SANDBOXES: [(&str, &str); 4] = [
    ("blue", "alice"),
    ("blue", "bob"),
    ("red", "carol"),
    ("red", "dave"),
];

/// The sandbox that can be reached from outside, and how.
const PUBLISHED: (&str, &str) = ("bob", "8080:7001");

/// Everything that runs. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) networks: Vec<NetworkInspect>,
    pub(super) sandboxes: Vec<Sandbox>,
    world: Option<Agent>,
    runtime: Runtime,
    client: Client,
    daemon: Daemon,
}

/// A sandbox and where it is connected.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) endpoint: Endpoint,
    pub(super) connect_time: Duration,
    agent: Option<Agent>,
}

impl Lab {
    /// Starts everything.
    pub(super) fn start() -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let daemon = Daemon::start()?;
        let client = Client::new(daemon.socket(), geteuid().as_raw());
        let mut lab = Self {
            networks: Vec::new(),
            sandboxes: Vec::new(),
            world: Some(Agent::start(Home::Shared)?),
            runtime,
            client,
            daemon,
        };
        for name in ["blue", "red"] {
            let request = CreateNetwork::new(name.parse()?);
            let network = lab.call(lab.client.create_network(&request))?;
            lab.networks.push(network);
        }
        for (network, name) in SANDBOXES {
            lab.add_sandbox(network, name)?;
        }
        Ok(lab)
    }

    /// Asks the daemon.
    pub(super) fn call<T>(
        &self,
        request: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T> {
        Ok(self.runtime.block_on(request)?)
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Lets a moment pass, on the way to something that is about to happen.
    pub(super) fn pause(&self) {
        let moment = Duration::from_millis(2);
        self.runtime
            .block_on(async { tokio::time::sleep(moment).await });
    }

    pub(super) fn sandbox(&mut self, name: &str) -> Result<&mut Sandbox> {
        let has_name = |sandbox: &&mut Sandbox| sandbox.endpoint.sandbox.as_str() == name;
        self.sandboxes
            .iter_mut()
            .find(has_name)
            .with_context(|| format!("no sandbox {name}"))
    }

    /// Has somebody outside do something.
    pub(super) fn ask_world(&mut self, request: &Request) -> Result<Reply> {
        let world = self.world.as_mut().context("the world has ended")?;
        world.ask(request).context("the world failed")
    }

    /// Stops the daemon and every sandbox, and makes sure that nothing is left.
    pub(super) fn stop(mut self) -> Result<()> {
        self.sandboxes.clear();
        self.world = None;
        self.daemon.stop()
    }

    fn add_sandbox(&mut self, network: &str, name: &str) -> Result<()> {
        let agent = Agent::start(Home::Own)?;
        let mut request = Connect::new(name);
        request.namespace = Some(NamespaceRef::Pid(agent.pid()));
        if name == PUBLISHED.0 {
            request.publish.push(PUBLISHED.1.parse()?);
        }
        let clock = Clock::new();
        let started = clock.now();
        let endpoint = self.call(self.client.connect(network, &request))?;
        let connect_time = clock.now().since(started);
        self.sandboxes.push(Sandbox {
            endpoint,
            connect_time,
            agent: Some(agent),
        });
        Ok(())
    }
}

impl Sandbox {
    pub(super) fn pid(&self) -> Option<u32> {
        self.agent.as_ref().map(Agent::pid)
    }

    pub(super) fn ask(&mut self, request: &Request) -> Result<Reply> {
        let name = &self.endpoint.sandbox;
        let agent = self
            .agent
            .as_mut()
            .with_context(|| format!("{name} has ended"))?;
        agent.ask(request).with_context(|| format!("{name} failed"))
    }

    /// Ends the process whose namespace the sandbox is.
    pub(super) fn end(&mut self) {
        self.agent = None;
    }
}
