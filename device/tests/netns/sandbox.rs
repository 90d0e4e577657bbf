//! A sandbox: a process that waits in a network namespace of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;
use tapweave_device::{Attacher, Interface, InterfaceSpec, NetNamespace, Offloading};
use tapweave_net::MacAddr;

/// Ends when it is dropped.
pub(crate) struct Sandbox {
    process: Child,
    enter: &'static [&'static str],
}

impl Sandbox {
    /// With a user namespace of its own, as `unshare -Urn` makes it.
    pub(crate) fn with_user_namespace() -> Self {
        Self::start(
            &["--user", "--map-root-user", "--net"],
            &["--user", "--net", "--preserve-credentials"],
        )
    }

    /// With a network namespace that belongs to the user namespace of the test.
    pub(crate) fn with_net_namespace() -> Self {
        Self::start(&["--net"], &["--net"])
    }

    fn start(unshare: &[&str], enter: &'static [&'static str]) -> Self {
        let mut process = Command::new("unshare")
            .args(unshare)
            .args(["--", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "user and network namespaces can be made");
        Self { process, enter }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn namespace(&self) -> NetNamespace {
        NetNamespace::open_pid(self.pid()).unwrap()
    }

    /// A command that will run in the sandbox.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.pid()))
            .args(self.enter)
            .args(["--", program]);
        command
    }

    /// Runs `ip` with `words` in the sandbox.
    pub(crate) fn ip(&self, words: &str) {
        let status = self.command("ip").args(words.split(' ')).status().unwrap();
        assert!(status.success(), "ip {words}");
    }

    /// Returns what `ip -json` says in the sandbox.
    pub(crate) fn ip_json(&self, words: &str) -> Value {
        let output = self
            .command("ip")
            .args(["-json", "-details"])
            .args(words.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "ip {words}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Returns the names of the sandbox's interfaces.
    pub(crate) fn ifnames(&self) -> Vec<String> {
        let links = self.ip_json("link");
        let name = |link: &Value| link["ifname"].as_str().unwrap().to_owned();
        links.as_array().unwrap().iter().map(name).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// An interface with one IPv4 address and everything else usual.
pub(crate) fn spec(address: &str) -> InterfaceSpec {
    let address: IpNet = address.parse().unwrap();
    let number = match address {
        IpNet::V4(net) => net.addr().octets()[3],
        IpNet::V6(net) => net.addr().octets()[15],
    };
    InterfaceSpec {
        ifname: None,
        mac: MacAddr::new([2, 0, 0, 0, 0, number]),
        mtu: 1500,
        addresses: vec![address],
        default_gateways: Vec::new(),
        route_metric: 512,
        queue_count: 1,
        offloading: Offloading::On,
        segments_max: None,
    }
}

pub(crate) fn attach(sandbox: &Sandbox, spec: &InterfaceSpec) -> Interface {
    Attacher::default()
        .attach(&sandbox.namespace(), spec)
        .unwrap()
}

/// Looks at something every ten milliseconds until it is so; at most a second.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel takes namespaces down in its own time and tells nobody"
)]
pub(crate) fn within_a_second(mut is_so: impl FnMut() -> bool) -> bool {
    (0..100).any(|_| {
        is_so() || {
            std::thread::sleep(Duration::from_millis(10));
            false
        }
    })
}

/// Runs a command in the namespaces of the test.
pub(crate) fn run(words: &str) {
    let mut words = words.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status();
    assert!(status.unwrap().success());
}
