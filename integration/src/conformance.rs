//! What RFC 4787, 5382, 5508 and 7857 require of a translator, requirement by requirement.
//!
//! The checks are Python functions in `tools/conformance/`, named after the requirement that they prove.
//! They speak raw packets from two sandboxes and from outside, whose kernels are silenced.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::process::expect_success;
use crate::sandbox::Sandbox;
use crate::site::Site;
use crate::traffic;
use crate::world::UPLINK;

const CHECKS: &str = concat!(
    include_str!("../tools/conformance/stations.py"),
    include_str!("../tools/conformance/rfc4787.py"),
    include_str!("../tools/conformance/rfc5382.py"),
    include_str!("../tools/conformance/rfc5508.py"),
    include_str!("../tools/conformance/run.py"),
);

/// Neighbour discovery goes on, and nothing else is heard.
const SILENCE: &str = "table inet silence { chain heard {
    type filter hook input priority 0; policy drop;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept;
}
}
";

/// By family and name; with the reason of a failure.
type Outcomes = BTreeMap<(String, String), Result<(), String>>;

/// Requires that `count` checks are run for both families, and that all of them pass but for the
/// `exceptions`, which must fail. The site has two sandboxes; their kernels, the server's and the client's
/// are of no use afterwards.
///
/// # Errors
///
/// When it is not so, with all differences and reasons; when the checks cannot be run.
pub fn expect(site: &Site, count: usize, exceptions: &[&str]) -> Result<()> {
    let outcomes = run(site, exceptions)?;
    let mut wrong = Vec::new();
    for ((family, name), outcome) in &outcomes {
        match (outcome, exceptions.contains(&name.as_str())) {
            (Err(reason), false) => wrong.push(format!("{family} {name} failed: {reason}")),
            (Ok(()), true) => wrong.push(format!("{family} {name} passed")),
            (Ok(()), false) | (Err(_), true) => {}
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let ran = outcomes.len();
    ensure!(ran == 2 * count, "{ran} checks were run, not twice {count}");
    Ok(())
}

fn run(site: &Site, exceptions: &[&str]) -> Result<Outcomes> {
    site.settle()?;
    let [v4, v6] = site.views()?;
    let world = &site.world;
    for view in [v4, v6] {
        traffic::ping_soon(&world.client, view.world.router)?;
    }
    let (a, b) = (&site.sandboxes[0], &site.sandboxes[1]);
    let stations = json!({
        "a": station(a, &v4.gateway.to_string(), &[v4.a], &[v6.a])?,
        "b": station(b, &v4.gateway.to_string(), &[v4.b], &[v6.b])?,
        "server": station(
            &world.server,
            "198.51.100.1",
            &[v4.world.server, v4.world.server_alias],
            &[v6.world.server, v6.world.server_alias],
        )?,
        "client": station(&world.client, "198.18.1.1", &[v4.world.client], &[v6.world.client])?,
    });
    let mut command = Command::new("/usr/bin/python3");
    let task = json!({ "stations": stations, "exceptions": exceptions });
    command.args(["-c", CHECKS, &task.to_string()]);
    let said = expect_success(&mut command, "")?;
    said.lines().map(outcome).collect()
}

/// `pass v4 NAME` or `fail v6 NAME: REASON`
fn outcome(line: &str) -> Result<((String, String), Result<(), String>)> {
    let (passed, rest) = match line.split_once(' ') {
        Some(("pass", rest)) => (true, rest),
        Some(("fail", rest)) => (false, rest),
        _ => bail!("the checks said {line:?}"),
    };
    let (what, reason) = rest.split_once(": ").unwrap_or((rest, ""));
    let (family, name) = what.split_once(' ').context("a check without a name")?;
    let outcome = if passed {
        Ok(())
    } else {
        Err(reason.to_owned())
    };
    Ok(((family.to_owned(), name.to_owned()), outcome))
}

/// Silences a namespace and describes it.
fn station(sandbox: &Sandbox, router: &str, v4: &[IpAddr], v6: &[IpAddr]) -> Result<Value> {
    let said = sandbox.ip(&format!("-json neighbour show to {router} dev {UPLINK}"))?;
    let neighbours: Value = serde_json::from_str(&said)?;
    let next_hop = neighbours[0]["lladdr"].as_str();
    let next_hop = next_hop.with_context(|| format!("{router} is not known: {said}"))?;
    expect_success(sandbox.command("nft").args(["-f", "-"]), SILENCE)?;
    Ok(json!({ "netns": sandbox.path(), "next_hop": next_hop, "v4": v4, "v6": v6 }))
}
