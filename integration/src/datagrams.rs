//! Bursts of UDP datagrams, which a switch may merge on their way and must not change.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::listing::Endpoint;
use crate::process::{Background, expect_success};
use crate::program::{Program, SEED};
use crate::sandbox::Sandbox;
use crate::traffic::{L4_PORT, python};

const BURST: Program = Program {
    name: "burst",
    text: concat!(
        include_str!("../tools/sendmmsg.py"),
        include_str!("../tools/burst.py")
    ),
};

const QUIRKS: &str = concat!(
    include_str!("../tools/sendmmsg.py"),
    include_str!("../tools/quirks.py")
);

/// Sends bursts of datagrams of every size to `to_ip`, compares what arrived with what was sent, and
/// returns how many there were.
///
/// # Errors
///
/// When one is lost, changed or out of order.
pub fn bursts(lab: &Lab, from: &Sandbox, to: &Sandbox, to_ip: IpAddr) -> Result<u64> {
    let mut server = BURST.serve(lab, [from, to], to_ip)?;
    let mut client = BURST.client(from, &format!("send {to_ip} {L4_PORT} {SEED}"));
    let sent = expect_success(&mut client, "")?;
    let received = server.line("sum ")?;
    ensure!(
        sent.trim_end() == received,
        "sent {sent}, received {received}"
    );
    let count = received.split_whitespace().nth(1);
    Ok(count.context("no count")?.parse()?)
}

/// Sends bursts of frames in which some must not be merged with the others, and returns what a socket
/// at the receiver made of them: datagrams that were refused, and what came in each flow.
///
/// # Errors
///
/// When a program fails.
pub fn quirks(
    lab: &Lab,
    [from, to]: [&Sandbox; 2],
    [source, destination]: [&Endpoint; 2],
) -> Result<String> {
    let mut server = python(to, QUIRKS);
    server.arg("serve");
    let log = lab.file(format!("quirks-{}-{}.log", from.name(), to.name()));
    let mut server = Background::start(&mut server, &log)?;
    server.line("ready")?;
    // With scapy, which is none of the standard library.
    let mut client = from.command("/usr/bin/python3");
    client.args(["-c", QUIRKS, "send", &source.ifname]);
    client.args([source.mac, destination.mac].map(|mac| mac.to_string()));
    for address in [
        source.ipv4()?,
        destination.ipv4()?,
        source.ipv6()?,
        destination.ipv6()?,
    ] {
        client.arg(address.to_string());
    }
    expect_success(&mut client, "")?;
    server.line("sum ")
}

/// Returns how many frames, whole ones of any length, an interface has received.
///
/// # Errors
///
/// When `ip` fails.
pub fn received_frames(sandbox: &Sandbox, ifname: &str) -> Result<u64> {
    let said = sandbox.ip(&format!("-json -stats link show {ifname}"))?;
    let links: serde_json::Value = serde_json::from_str(&said)?;
    links[0]["stats64"]["rx"]["packets"]
        .as_u64()
        .with_context(|| format!("no count in {said}"))
}
