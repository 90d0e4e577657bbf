//! Traffic between sandboxes, made by programs that know nothing of tapweave.
//!
//! The Python programs of `tools/` are compiled in, so that the tests can run from anywhere. scapy is
//! Debian's, which `/usr/bin/python3` has and another Python on the path may not have.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tapweave_net::MacAddr;

use crate::frame;
use crate::lab::Lab;
use crate::process::{Background, expect_success};
use crate::program::{Program, SEED};
use crate::sandbox::Sandbox;
use crate::wait;

const PYTHON: &str = "/usr/bin/python3";
const SEND_RAW: &str = include_str!("../tools/send_raw.py");
const SEND_VNET: &str = include_str!("../tools/send_vnet.py");
const TCP: Program = Program {
    name: "tcp",
    text: include_str!("../tools/tcp.py"),
};
const UDP: Program = Program {
    name: "udp",
    text: include_str!("../tools/udp.py"),
};

/// The port that the servers listen at.
pub const L4_PORT: &str = "5201";

/// Pings `count` times; every request must be answered once.
///
/// # Errors
///
/// When not exactly `count` answers came.
pub fn ping(from: &Sandbox, to: IpAddr, count: u32) -> Result<()> {
    ping_with(from, to, count, "")
}

/// Pings as [`ping`] with more options of `ping`.
///
/// # Errors
///
/// When not exactly `count` answers came.
pub fn ping_with(from: &Sandbox, to: IpAddr, count: u32, options: &str) -> Result<()> {
    let mut left = count;
    while left > 0 {
        // As many at once as an ordinary user may send; the last ones are awaited for an interval.
        let burst = left.min(3);
        let said = from.run(
            "ping",
            &format!("-n -q -c {burst} -l {burst} -i 10 -W 10 {options} {to}"),
        )?;
        ensure!(
            said.contains(&format!(
                "{burst} packets transmitted, {burst} received, 0% packet loss"
            )) && !said.contains("duplicates"),
            "ping to {to}: {said}"
        );
        left -= burst;
    }
    Ok(())
}

/// Waits until a ping is answered: duplicate address detection may take a second for IPv6.
///
/// # Errors
///
/// When that does not happen soon.
pub fn ping_soon(from: &Sandbox, to: IpAddr) -> Result<()> {
    wait::until_true(&format!("an answer of {to}"), wait::SOON, || {
        answers(from, to)
    })
}

/// Returns whether a ping is answered within a second.
///
/// # Errors
///
/// When it cannot be tried.
pub fn answers(from: &Sandbox, to: IpAddr) -> Result<bool> {
    answers_with(from, to, "")
}

/// As [`answers`] with more options of `ping`.
///
/// # Errors
///
/// When it cannot be tried.
pub fn answers_with(from: &Sandbox, to: IpAddr, options: &str) -> Result<bool> {
    let mut command = from.command("ping");
    command.args(["-n", "-q", "-c", "1", "-W", "1"]);
    command.args(options.split_whitespace()).arg(to.to_string());
    Ok(command.output()?.status.success())
}

/// Requires that no ping is answered within a short time.
///
/// # Errors
///
/// When one is.
pub fn no_ping(from: &Sandbox, to: IpAddr) -> Result<()> {
    let mut command = from.command("ping");
    command.args([
        "-n",
        "-q",
        "-c",
        "3",
        "-i",
        "0.05",
        "-w",
        "1",
        &to.to_string(),
    ]);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        !output.status.success() && !said.contains("bytes from") && !said.contains(" 0% packet"),
        "{to} was reached from {}: {said}",
        from.name()
    );
    Ok(())
}

/// Sends each of `frames` `count` times through `AF_PACKET`, as it is.
///
/// # Errors
///
/// When the kernel does not take one.
pub fn send_raw(from: &Sandbox, ifname: &str, count: usize, frames: &[Vec<u8>]) -> Result<()> {
    let lines = frames
        .iter()
        .map(|bytes| format!("{count} {}\n", frame::hex(bytes)));
    let input: String = lines.collect();
    expect_success(python(from, SEND_RAW).arg(ifname), &input)?;
    Ok(())
}

/// Sends `count` times one of `frames` with a random `virtio_net_hdr`, and returns how many of these
/// the kernel let through to the switch.
///
/// # Errors
///
/// When the program fails.
pub fn send_vnet(from: &Sandbox, ifname: &str, count: usize, frames: &[Vec<u8>]) -> Result<usize> {
    let lines = frames.iter().map(|bytes| frame::hex(bytes) + "\n");
    let input: String = lines.collect();
    let mut command = python(from, SEND_VNET);
    command.args([ifname, &count.to_string(), SEED]);
    Ok(expect_success(&mut command, &input)?.trim().parse()?)
}

/// Runs a scapy program in a sandbox and returns what it printed.
///
/// # Errors
///
/// When it fails.
pub fn scapy(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = sandbox.command(PYTHON);
    command.args(["-c", program]).args(arguments);
    expect_success(&mut command, "")
}

/// Lets scapy announce a station by a gratuitous ARP reply (RFC 5227 §3).
///
/// # Errors
///
/// When scapy fails.
pub fn announce(sandbox: &Sandbox, ifname: &str, mac: MacAddr) -> Result<()> {
    let program = "
import sys
from scapy.all import ARP, Ether, sendp
ifname, mac = sys.argv[1:]
arp = ARP(op=2, hwsrc=mac, psrc='192.0.2.9', pdst='192.0.2.9')
sendp(Ether(src=mac, dst='ff:ff:ff:ff:ff:ff') / arp, iface=ifname, verbose=False)
";
    scapy(sandbox, program, &[ifname, &mac.to_string()])?;
    Ok(())
}

/// Sends `len` random bytes over one TCP connection and compares length and SHA-256 at both ends.
///
/// # Errors
///
/// When the connection fails or what arrived is not what was sent.
pub fn tcp(lab: &Lab, from: &Sandbox, to: &Sandbox, to_ip: IpAddr, len: usize) -> Result<()> {
    Stream::start(lab, from, to, to_ip, len)?.finish()
}

/// As [`tcp`], to an address other than that on which the server listens.
///
/// # Errors
///
/// As [`tcp`].
pub fn tcp_by(
    lab: &Lab,
    from: &Sandbox,
    to: &Sandbox,
    [own_ip, to_ip]: [IpAddr; 2],
    len: usize,
) -> Result<()> {
    Stream::start_by(lab, from, to, [own_ip, to_ip], len)?.finish()
}

/// A TCP connection that is being used.
#[derive(Debug)]
pub struct Stream {
    server: Background,
    client: Background,
}

impl Stream {
    /// Starts to send `len` random bytes.
    ///
    /// # Errors
    ///
    /// When server or client does not start.
    pub fn start(
        lab: &Lab,
        from: &Sandbox,
        to: &Sandbox,
        to_ip: IpAddr,
        len: usize,
    ) -> Result<Self> {
        Self::start_by(lab, from, to, [to_ip; 2], len)
    }

    fn start_by(
        lab: &Lab,
        from: &Sandbox,
        to: &Sandbox,
        [own_ip, to_ip]: [IpAddr; 2],
        len: usize,
    ) -> Result<Self> {
        let server = TCP.serve(lab, [from, to], own_ip)?;
        let arguments = format!("send {to_ip} {L4_PORT} {len} {SEED}");
        let client = TCP.call(lab, [from, to], &arguments)?;
        Ok(Self { server, client })
    }

    /// Waits for the end and compares length and SHA-256 at both ends.
    ///
    /// # Errors
    ///
    /// When they differ, or the end does not come.
    pub fn finish(mut self) -> Result<()> {
        let sent = self.client.line("sum ")?;
        let received = self.server.line("sum ")?;
        ensure!(sent == received, "sent {sent}, received {received}");
        Ok(())
    }

    /// Tells whether the sender still sends.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        self.client.is_running()
    }
}

/// How the datagrams of a burst are given to the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagrams {
    /// One call for each.
    Single,
    /// One call with `UDP_SEGMENT` for all (`man 7 udp`).
    Segmented,
}

/// Pings, and sends TCP both ways and UDP both ways: segmented by the kernel from `a`, and single datagrams of
/// `datagram_len` bytes from `b`.
///
/// # Errors
///
/// When one of them does not arrive as it was sent.
pub fn all_kinds(
    lab: &Lab,
    a: (&Sandbox, IpAddr),
    b: (&Sandbox, IpAddr),
    datagram_len: usize,
) -> Result<()> {
    let ((a, to_a), (b, to_b)) = (a, b);
    ping_soon(a, to_b)?;
    tcp(lab, a, b, to_b, 4 << 20)?;
    tcp(lab, b, a, to_a, 4 << 20)?;
    udp(lab, a, b, to_b, 1200, Datagrams::Segmented)?;
    udp(lab, b, a, to_a, datagram_len, Datagrams::Single)
}

/// Sends 64 bursts of eight datagrams (of one, above 8 KiB), each burst confirmed, and compares count and SHA-256 at both ends.
///
/// # Errors
///
/// When one is lost, changed or out of order.
pub fn udp(
    lab: &Lab,
    from: &Sandbox,
    to: &Sandbox,
    to_ip: IpAddr,
    size: usize,
    datagrams: Datagrams,
) -> Result<()> {
    let mut server = UDP.serve(lab, [from, to], to_ip)?;
    let mut client = UDP.client(from, &format!("send {to_ip} {L4_PORT} 64 {size} {SEED}"));
    if datagrams == Datagrams::Segmented {
        client.arg("gso");
    }
    let sent = expect_success(&mut client, "")?;
    let received = server.line("sum ")?;
    ensure!(
        sent.trim_end() == received,
        "sent {sent}, received {received}"
    );
    Ok(())
}

/// Runs iperf3 for `seconds` over `streams` connections and returns the bits per second that arrived.
///
/// # Errors
///
/// When it fails.
pub fn iperf3(
    lab: &Lab,
    from: &Sandbox,
    to: &Sandbox,
    to_ip: IpAddr,
    streams: u32,
    seconds: u32,
) -> Result<f64> {
    let mut server = to.command("iperf3");
    server.args(["-s", "-1", "-B", &to_ip.to_string(), "--forceflush"]);
    let log = lab.file(format!("iperf3-{}-{}.log", from.name(), to.name()));
    let mut server = Background::start(&mut server, &log)?;
    server.line("listening")?;
    let report = from.run(
        "iperf3",
        &format!("-c {to_ip} -t {seconds} -P {streams} --json"),
    )?;
    let report: serde_json::Value = serde_json::from_str(&report)?;
    server.exit(Duration::from_secs(5))?;
    report["end"]["sum_received"]["bits_per_second"]
        .as_f64()
        .with_context(|| format!("iperf3 reported {report}"))
}

/// Returns a command that will run a Python program with only the standard library.
pub(crate) fn python(sandbox: &Sandbox, program: &str) -> Command {
    let mut command = sandbox.command(PYTHON);
    command.args(["-I", "-S", "-c", program]);
    command
}
