//! Real programs at both ends of a path: `curl` and Python's `http.server`, `dig` and `dnsmasq`,
//! `iperf3` both ways, `traceroute` and `tracepath`.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ipnet::IpNet;

use crate::lab::Lab;
use crate::process::{Background, expect_success};
use crate::sandbox::Sandbox;

/// Where the HTTP servers listen.
const HTTP_L4_PORT: &str = "8000";

/// The name that the DNS servers know.
const NAME: &str = "answer.test";

/// The address that they know it by.
const ANSWER: &str = "192.0.2.77";

/// A server of one file over HTTP.
#[derive(Debug)]
pub struct Http {
    process: Background,
    ip: IpAddr,
    content: Vec<u8>,
    place: PathBuf,
}

impl Http {
    /// Starts a server of `len` bytes on one address.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(lab: &Lab, server: &Sandbox, ip: IpAddr, len: u32) -> Result<Self> {
        let place = lab.file(format!("http-{}-{}", server.name(), label(ip)));
        fs::create_dir(&place)?;
        let content = noise(len);
        fs::write(place.join("content"), &content)?;
        let mut command = server.command("/usr/bin/python3");
        command.args(["-I", "-u", "-m", "http.server", "--bind", &ip.to_string()]);
        command.arg("--directory").arg(&place).arg(HTTP_L4_PORT);
        let mut process = Background::start(&mut command, &place.with_extension("log"))?;
        process.line("Serving HTTP")?;
        Ok(Self {
            process,
            ip,
            content,
            place,
        })
    }

    /// Has `curl` fetch the file, compares it, and requires that the server's log names an address of
    /// `seen` as the client.
    ///
    /// # Errors
    ///
    /// When the file does not arrive, or not as it is, or from another address.
    pub fn fetch(&mut self, client: &Sandbox, seen: IpNet) -> Result<()> {
        let file = self.place.join(format!("fetched-by-{}", client.name()));
        let host = match self.ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let mut curl = client.command("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20"]);
        curl.arg("--output").arg(&file);
        curl.arg(format!("http://{host}:{HTTP_L4_PORT}/content"));
        expect_success(&mut curl, "")?;
        ensure!(
            fs::read(&file)? == self.content,
            "what curl fetched from {} is not what the server has",
            self.ip
        );
        let line = self.process.line("GET /content")?;
        let client = line
            .split_whitespace()
            .next()
            .and_then(|ip| ip.parse().ok());
        let is_seen = client.is_some_and(|ip: IpAddr| seen.contains(&ip));
        ensure!(is_seen, "not from {seen}: {line}");
        Ok(())
    }
}

/// A DNS server that knows one name.
#[derive(Debug)]
pub struct Dns {
    _process: Background,
    ip: IpAddr,
}

impl Dns {
    /// Starts `dnsmasq` on one address.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(lab: &Lab, server: &Sandbox, ip: IpAddr) -> Result<Self> {
        let mut command = server.command("dnsmasq");
        // As a daemon it would change its groups, which a user namespace refuses.
        command.args(["--no-daemon", "--conf-file=/dev/null", "--bind-interfaces"]);
        command.args(["--no-resolv", "--no-hosts", "--local-ttl=60"]);
        command.arg(format!("--listen-address={ip}"));
        command.arg(format!("--address=/{NAME}/{ANSWER}"));
        let log = lab.file(format!("dnsmasq-{}.log", label(ip)));
        let mut process = Background::start(&mut command, &log)?;
        process.line("started")?;
        Ok(Self {
            _process: process,
            ip,
        })
    }

    /// Has `dig` ask for the name over UDP and over TCP.
    ///
    /// # Errors
    ///
    /// When one is not answered within 2 s, or wrongly.
    pub fn ask(&self, client: &Sandbox) -> Result<()> {
        for transport in ["+notcp", "+tcp"] {
            let arguments = format!("@{} {NAME} A +short +tries=1 +time=2 {transport}", self.ip);
            let answer = client.run("dig", &arguments)?;
            ensure!(answer.trim() == ANSWER, "dig {arguments}: {answer}");
        }
        Ok(())
    }
}

/// Runs iperf3 for a second from the server to the client, and returns the bits per second that arrived.
///
/// # Errors
///
/// When it fails.
pub fn iperf3_down(lab: &Lab, client: &Sandbox, server: &Sandbox, ip: IpAddr) -> Result<f64> {
    let mut command = server.command("iperf3");
    command.args(["-s", "-1", "-B", &ip.to_string(), "--forceflush"]);
    let log = lab.file(format!("iperf3-down-{}.log", label(ip)));
    let mut process = Background::start(&mut command, &log)?;
    process.line("listening")?;
    let report = client.run("iperf3", &format!("-c {ip} -t 1 --reverse --json"))?;
    let report: serde_json::Value = serde_json::from_str(&report)?;
    process.exit(Duration::from_secs(5))?;
    report["end"]["sum_received"]["bits_per_second"]
        .as_f64()
        .with_context(|| format!("iperf3 reported {report}"))
}

/// What `traceroute` sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// UDP to ports that nobody uses.
    Udp,
    /// ICMP echo requests.
    Icmp,
    /// TCP SYN to a port that nobody uses.
    Tcp,
}

/// Returns who answers on the way to `ip`, hop by hop; nothing for one that does not answer.
///
/// # Errors
///
/// When `traceroute` fails.
pub fn traceroute(from: &Sandbox, ip: IpAddr, probe: Probe) -> Result<Vec<Option<IpAddr>>> {
    let kind = match probe {
        Probe::Udp => "",
        Probe::Icmp => "-I",
        Probe::Tcp => "-T -p 9",
    };
    let said = from.run("traceroute", &format!("-n -q 1 -w 2 -m 6 {kind} {ip}"))?;
    // The first line is a title; then ` 1  10.211.0.1  0.042 ms` or ` 1  *`.
    let hops = said.lines().skip(1);
    Ok(hops
        .map(|line| line.split_whitespace().nth(1)?.parse().ok())
        .collect())
}

/// Returns the path MTU that `tracepath` finds on the way to `ip`, in bytes.
///
/// # Errors
///
/// When `tracepath` fails or does not arrive.
pub fn tracepath(from: &Sandbox, ip: IpAddr) -> Result<u16> {
    let said = from.run("tracepath", &format!("-n -m 6 {ip}"))?;
    // `     Resume: pmtu 1300 hops 4 back 4`
    let mtu = said
        .split_once("Resume: pmtu ")
        .filter(|_| said.contains("reached"))
        .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    mtu.with_context(|| format!("tracepath to {ip}: {said}"))
}

/// The same bytes for the same length, without a pattern that a lost or doubled piece would fit into.
fn noise(len: u32) -> Vec<u8> {
    // A linear congruential generator (Knuth, MMIX).
    let mut state = u64::from(len);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// An address as part of a file name.
fn label(ip: IpAddr) -> String {
    ip.to_string().replace(':', "-")
}
