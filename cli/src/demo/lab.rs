//! What the demo runs on: a private daemon, two networks, four sandboxes.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tapweave_control::api::{Connect, CreateNetwork, Endpoint, NetworkInspect};
use tapweave_control::client::{Client, ClientError};
use tapweave_control::datapath::NamespaceRef;
use tapweave_daemon::Clock;
use tokio::runtime::{self, Runtime};

use super::agent::{Agent, Reply, Request};

/// Network and name of each sandbox.
const SANDBOXES: [(&str, &str); 4] = [
    ("blue", "alice"),
    ("blue", "bob"),
    ("red", "carol"),
    ("red", "dave"),
];

/// Everything that runs. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) networks: Vec<NetworkInspect>,
    pub(super) sandboxes: Vec<Sandbox>,
    runtime: Runtime,
    client: Client,
    daemon: Child,
    folder: PathBuf,
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
        let folder = private_folder()?;
        let socket = folder.join("tapweave.sock");
        let daemon = start_daemon(&socket)?;
        let client = Client::new(socket, geteuid().as_raw());
        let mut lab = Self {
            networks: Vec::new(),
            sandboxes: Vec::new(),
            runtime,
            client,
            daemon,
            folder,
        };
        lab.wait_until_ready()?;
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

    /// Stops the daemon and every sandbox, and makes sure that nothing is left.
    pub(super) fn stop(mut self) -> Result<()> {
        self.sandboxes.clear();
        let pid = Pid::from_child(&self.daemon);
        kill_process(pid, Signal::TERM).context("cannot stop the daemon")?;
        let status = self.daemon.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        let socket = self.client.socket();
        ensure!(
            !socket.exists(),
            "the daemon left its socket {}",
            socket.display()
        );
        fs::remove_dir_all(&self.folder).context("cannot remove the demo's folder")
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let stdout = self
            .daemon
            .stdout
            .take()
            .context("the daemon has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line == "ready\n" {
            return Ok(());
        }
        let mut message = String::new();
        if let Some(mut stderr) = self.daemon.stderr.take() {
            stderr.read_to_string(&mut message)?;
        }
        bail!("the daemon did not start: {}", message.trim())
    }

    fn add_sandbox(&mut self, network: &str, name: &str) -> Result<()> {
        let agent = Agent::start()?;
        let mut request = Connect::new(name);
        request.namespace = Some(NamespaceRef::Pid(agent.pid()));
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

impl Drop for Lab {
    fn drop(&mut self) {
        // After `stop` there is nothing left of these; before, this is the way out of a failure.
        let _ignored = self.daemon.kill();
        let _ignored = self.daemon.wait();
        let _ignored = fs::remove_dir_all(&self.folder);
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

fn private_folder() -> Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("tapweave-demo-").tempdir();
    Ok(folder.context("cannot make a folder for the demo")?.keep())
}

fn start_daemon(socket: &Path) -> Result<Child> {
    Command::new("/proc/self/exe")
        .args(["--quiet", "daemon", "--socket"])
        .arg(socket)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start a daemon")
}
