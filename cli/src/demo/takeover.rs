//! The part of the demo where the daemon of east is replaced by another process under running transfers.

use std::time::Duration;

use anyhow::Result;

use super::agent::Request;
use super::lab::Lab;
use super::stopwatch::Stopwatch;
use super::story::{MEBI, Report, arrow};
use super::world;

/// Who sends to whom meanwhile: within a network, through the gateway, and to the other host. No two of them share a
/// port of the switch.
const TRANSFERS: [(&str, &str); 3] = [("carol", "dave"), ("alice", world::NAME), ("erin", "frank")];

/// How much of each transfer is seen before the takeover, and after it.
const SEEN_LEN: u64 = 4 * MEBI;

/// How long that may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

/// Has another daemon take over in east. What each transfer has sent must be what has arrived.
pub(super) fn tell(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let before = received(lab)?;
    for (from, to) in TRANSFERS {
        let request = Request::TcpHashOn { to: to.to_owned() };
        lab.sandbox(from)?.begin(request)?;
    }
    let mut ok = seen(lab, &before)?;
    let stopwatch = Stopwatch::start();
    lab.replace_east()?;
    let millis = stopwatch.elapsed().as_millis();
    // The new daemon counts from zero.
    ok &= seen(lab, &[0; TRANSFERS.len()])?;
    let found = format!("another daemon took over, {millis} ms after it was started");
    report.add("takeover", "east", found, ok);
    for (from, to) in TRANSFERS {
        let reply = lab.sandbox(from)?.finish()?;
        let verdict = if reply.intact {
            "SHA-256 equal"
        } else {
            "SHA-256 DIFFERS"
        };
        let found = format!(
            "{} MiB, begun before and ended after it, {verdict}",
            reply.received / MEBI
        );
        let to = if to == world::NAME { "world" } else { to };
        report.add("TCP transfer", &arrow(from, to), found, reply.intact);
    }
    Ok(())
}

/// Waits until some of each transfer has passed since it was at `before`; tells whether it has.
fn seen(lab: &mut Lab, before: &[u64; TRANSFERS.len()]) -> Result<bool> {
    let stopwatch = Stopwatch::start();
    while stopwatch.elapsed() < LIMIT {
        let now = received(lab)?;
        if now
            .iter()
            .zip(before)
            .all(|(now, before)| *now >= before + SEEN_LEN)
        {
            return Ok(true);
        }
        lab.pause();
    }
    Ok(false)
}

/// Returns how many bytes of frames have come from each sender since its daemon was started.
fn received(lab: &mut Lab) -> Result<[u64; TRANSFERS.len()]> {
    let mut all = [0; TRANSFERS.len()];
    for (received, (from, _)) in all.iter_mut().zip(TRANSFERS) {
        let port = lab.sandbox(from)?.endpoint.port.clone();
        *received = lab.call(lab.client().port(&port))?.counters.rx_bytes;
    }
    Ok(all)
}
