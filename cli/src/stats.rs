//! `tapweave stats`

use tapweave_control::api::Stats;
use tapweave_control::datapath::{NatStats, UnderlayState, UplinkState, WorkerStats};

use crate::context::Context;
use crate::output::Form;
use crate::port;
use crate::table::{Table, optional};
use crate::underlay::size;

pub(crate) async fn run(context: &mut Context<'_>) -> anyhow::Result<()> {
    let stats = context.client.stats().await?;
    let output = &mut context.output;
    match output.form() {
        Form::Json => output.json(&stats)?,
        Form::Text | Form::Quiet => write!(
            output.writer(),
            "{}\n{}\n{}\n{}\n{}{}",
            totals(&stats),
            uplink(&stats.uplink),
            nat(&stats.nat),
            workers(&stats),
            tables(&stats),
            underlay(&stats.underlay)
        )?,
    }
    Ok(())
}

fn totals(stats: &Stats) -> Table {
    let mut table = Table::new(&["TOTAL", ""]);
    let mut fact = |name: &str, value: usize| table.row([name.to_owned(), value.to_string()]);
    fact("networks", stats.networks);
    fact("sandboxes", stats.sandboxes);
    fact("ports", stats.ports);
    port::counters(&stats.total, &mut table);
    for (repair, count) in &stats.repairs {
        table.row([format!("repair {repair}"), count.to_string()]);
    }
    table
}

fn uplink(uplink: &UplinkState) -> Table {
    let mut table = Table::new(&["UPLINK", &uplink.kind.to_string()]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    fact("interface", optional(uplink.ifname.as_deref()));
    for address in &uplink.addresses {
        fact("address", address.to_string());
    }
    fact("why", uplink.reason.clone());
    for step in &uplink.missing {
        fact("missing", step.clone());
    }
    table
}

fn nat(nat: &NatStats) -> Table {
    let mut table = Table::new(&["NAT", ""]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    fact("entries", nat.entries.to_string());
    fact("limit", nat.limit.to_string());
    for (name, count) in &nat.counters {
        fact(name, count.to_string());
    }
    fact("drops", nat.drops.values().sum::<u64>().to_string());
    for (reason, count) in &nat.drops {
        fact(&format!("  {reason}"), count.to_string());
    }
    table
}

fn workers(stats: &Stats) -> Table {
    let mut table = Table::new(&["WORKER", "BACKEND", "PORTS", "WAKEUPS", "BATCHES", "FRAMES"]);
    for worker in &stats.workers {
        table.row([
            worker.worker.to_string(),
            backend(worker),
            worker.port_count.to_string(),
            worker.wakeups.to_string(),
            worker.batches.to_string(),
            worker.frames.to_string(),
        ]);
    }
    table
}

fn backend(worker: &WorkerStats) -> String {
    if worker.backend_uses.is_empty() {
        worker.backend.clone()
    } else {
        format!("{} ({})", worker.backend, worker.backend_uses.join(", "))
    }
}

fn tables(stats: &Stats) -> Table {
    let mut table = Table::new(&["FDB", "ENTRIES", "LIMIT"]);
    for fdb in &stats.fdb {
        table.row([
            fdb.network.to_string(),
            fdb.entries.to_string(),
            fdb.limit.to_string(),
        ]);
    }
    table
}

/// Returns what overlays travel over, and nothing where there are none.
fn underlay(underlay: &UnderlayState) -> String {
    if underlay.addresses.is_empty() && underlay.refused.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        "UNDERLAY", "ENCAP", "PORT", "SOCKETS", "USES", "RCVBUF", "SNDBUF",
    ]);
    for at in &underlay.addresses {
        let uses = [(at.segmentation, "udp segmentation"), (at.gro, "udp gro")];
        let uses: Vec<_> = uses
            .iter()
            .filter(|(has, _)| *has)
            .map(|(_, it)| *it)
            .collect();
        table.row([
            at.address.to_string(),
            at.encap.clone(),
            optional(at.port),
            at.sockets.to_string(),
            uses.join(", "),
            size(at.receive_buffer),
            at.send_buffer.map(size).unwrap_or_default(),
        ]);
    }
    let mut refused = Table::new(&["REFUSED", "DATAGRAMS"]);
    for (reason, count) in &underlay.refused {
        refused.row([reason.clone(), count.to_string()]);
    }
    format!("\n{table}\n{refused}")
}
