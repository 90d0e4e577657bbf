//! What the demo runs on: two hosts, their networks and sandboxes, and the world outside.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use tapweave_control::api::{
    Connect, CreateNetwork, DnsRecordAdd, Endpoint, NetworkInspect, PeerAdd, SubnetRequest,
};
use tapweave_control::client::{Client, ClientError};
use tapweave_control::datapath::NamespaceRef;
use tokio::runtime::{self, Runtime};

use super::agent::{Agent, Home, Reply, Request};
use super::host::{HostName, Hosts};
use super::stopwatch::Stopwatch;

/// Host, network and name of each sandbox.
const SANDBOXES: [(HostName, &str, &str); 7] = [
    (HostName::East, "blue", "alice"),
    (HostName::East, "blue", "bob"),
    (HostName::East, "red", "carol"),
    (HostName::East, "red", "dave"),
    (HostName::East, OVERLAY, "erin"),
    (HostName::West, OVERLAY, "frank"),
    (HostName::West, OVERLAY, "grace"),
];

/// The networks of one host.
const LOCAL_NETWORKS: [&str; 2] = ["blue", "red"];

/// The network that spans both hosts, and its VNI.
pub(super) const OVERLAY: &str = "green";
pub(super) const VNI: u32 = 42;
const OVERLAY_SUBNET: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 77, 0, 0), 24);

/// The sandbox that can be reached from outside, and how.
const PUBLISHED: (&str, &str) = ("bob", "8080:7001");

/// Everything that runs. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Lab {
    /// Those that are only on one host first.
    pub(super) networks: Vec<NetworkInspect>,
    pub(super) sandboxes: Vec<Sandbox>,
    world: Option<Agent>,
    runtime: Runtime,
    hosts: Hosts,
}

/// A sandbox and where it is connected.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) host: HostName,
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
        let hosts = Hosts::start()?;
        let mut lab = Self {
            networks: Vec::new(),
            sandboxes: Vec::new(),
            world: Some(Agent::start(Home::Shared)?),
            runtime,
            hosts,
        };
        for name in LOCAL_NETWORKS {
            let request = CreateNetwork::new(name.parse()?);
            let network = lab.call(lab.client().create_network(&request))?;
            lab.networks.push(network);
        }
        // As long as the daemons share no store, each has addresses of its own to give away.
        let halves = OVERLAY_SUBNET.subnets(25)?;
        for (host, addresses) in [HostName::East, HostName::West].into_iter().zip(halves) {
            let network = lab.add_overlay(host, addresses)?;
            if host == HostName::East {
                lab.networks.push(network);
            }
        }
        for (host, network, name) in SANDBOXES {
            lab.add_sandbox(host, network, name)?;
        }
        lab.state_names()?;
        Ok(lab)
    }

    /// Asks a daemon.
    pub(super) fn call<T>(
        &self,
        request: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T> {
        Ok(self.runtime.block_on(request)?)
    }

    /// Returns the way to ask the daemon of east.
    pub(super) const fn client(&self) -> &Client {
        self.client_of(HostName::East)
    }

    /// Returns the way to ask the daemon of a host.
    pub(super) const fn client_of(&self, host: HostName) -> &Client {
        &self.hosts.get(host).client
    }

    /// Returns a network of east.
    pub(super) fn network(&self, name: &str) -> Result<&NetworkInspect> {
        let mut networks = self.networks.iter();
        networks
            .find(|network| network.name.as_str() == name)
            .with_context(|| format!("no network {name}"))
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
    pub(super) fn ask_world(&mut self, request: Request) -> Result<Reply> {
        let world = self.world.as_mut().context("the world has ended")?;
        world.ask(request).context("the world failed")
    }

    /// Has another daemon take over in east.
    pub(super) fn replace_east(&mut self) -> Result<()> {
        self.hosts.replace_east()
    }

    /// Stops the daemons and every sandbox, and makes sure that nothing is left.
    pub(super) fn stop(mut self) -> Result<()> {
        self.sandboxes.clear();
        self.world = None;
        let Hosts { east, west } = self.hosts;
        west.stop()?;
        east.stop()
    }

    /// Makes a host's part of the overlay, which gives away `addresses`.
    fn add_overlay(&self, host: HostName, addresses: Ipv4Net) -> Result<NetworkInspect> {
        let client = self.client_of(host);
        let subnet = SubnetRequest {
            subnet: OVERLAY_SUBNET.into(),
            ip_range: Some(addresses.into()),
            gateway: None,
            aux_addresses: BTreeMap::new(),
        };
        let request = CreateNetwork {
            driver: "overlay".to_owned(),
            vni: Some(VNI),
            subnets: vec![subnet],
            ..CreateNetwork::new(OVERLAY.parse()?)
        };
        let network = self.call(client.create_network(&request))?;
        let peer = PeerAdd {
            network: OVERLAY.to_owned(),
            address: host.other().underlay().into(),
            port: None,
            subnets: Vec::new(),
        };
        self.call(client.add_peer(&peer))?;
        Ok(network)
    }

    /// Tells each host what the sandboxes of the overlay on the other one are called.
    fn state_names(&self) -> Result<()> {
        let of_overlay = |sandbox: &&Sandbox| sandbox.endpoint.network.as_str() == OVERLAY;
        for Sandbox { host, endpoint, .. } in self.sandboxes.iter().filter(of_overlay) {
            for address in &endpoint.addresses {
                let request = DnsRecordAdd {
                    network: OVERLAY.to_owned(),
                    name: endpoint.sandbox.clone(),
                    address: address.addr(),
                };
                self.call(self.client_of(host.other()).dns_add(&request))?;
            }
        }
        Ok(())
    }

    fn add_sandbox(&mut self, host: HostName, network: &str, name: &str) -> Result<()> {
        let mut agent = Agent::start(Home::Own)?;
        let mut request = Connect::new(name);
        request.namespace = Some(NamespaceRef::Pid(agent.pid()));
        if name == PUBLISHED.0 {
            request.publish.push(PUBLISHED.1.parse()?);
        }
        let stopwatch = Stopwatch::start();
        let endpoint = self.call(self.client_of(host).connect(network, &request))?;
        let connect_time = stopwatch.elapsed();
        agent.set_resolver(endpoint.dns.first().copied());
        self.sandboxes.push(Sandbox {
            host,
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

    pub(super) fn ask(&mut self, request: Request) -> Result<Reply> {
        let name = &self.endpoint.sandbox;
        let agent = self
            .agent
            .as_mut()
            .with_context(|| format!("{name} has ended"))?;
        agent.ask(request).with_context(|| format!("{name} failed"))
    }

    /// Has it begin something that goes on until [`Sandbox::finish`].
    pub(super) fn begin(&mut self, request: Request) -> Result<()> {
        let name = &self.endpoint.sandbox;
        let agent = self.agent.as_mut();
        let agent = agent.with_context(|| format!("{name} has ended"))?;
        agent.begin(request)
    }

    /// Ends what was begun, and returns what it found.
    pub(super) fn finish(&mut self) -> Result<Reply> {
        let name = &self.endpoint.sandbox;
        let agent = self.agent.as_mut();
        let agent = agent.with_context(|| format!("{name} has ended"))?;
        agent.finish().with_context(|| format!("{name} failed"))
    }

    /// Ends the process whose namespace the sandbox is.
    pub(super) fn end(&mut self) {
        self.agent = None;
    }
}
