//! `tapweave stats`

mod watch;

use clap::Args;
use tapweave_control::api::{ServiceStats, Stats};
use tapweave_control::datapath::{NatStats, UnderlayState, UplinkState, WorkerStats};

use crate::context::Context;
use crate::output::Form;
use crate::port;
use crate::table::{Table, optional};
use crate::underlay::size;

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Print them every second until interrupted, and what was counted a second meanwhile; with --json
    /// a line each time
    #[arg(long)]
    pub(crate) watch: bool,
}

pub(crate) async fn run(args: StatsArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    if args.watch {
        return watch::run(context).await;
    }
    let stats = context.client.stats().await?;
    let output = &mut context.output;
    match output.form() {
        Form::Json => output.json(&stats)?,
        Form::Text | Form::Quiet => write!(output.writer(), "{}", page(&stats))?,
    }
    Ok(())
}

fn page(stats: &Stats) -> String {
    format!(
        "{}\n{}\n{}\n{}\n{}\n{}\n{}{}",
        totals(stats),
        uplink(&stats.uplink),
        nat(&stats.nat),
        names(&stats.services),
        leases(&stats.services),
        workers(stats),
        tables(stats),
        underlay(&stats.underlay)
    )
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
    for (what, count) in &stats.carried {
        table.row([format!("learned {what}"), count.to_string()]);
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

fn names(services: &[ServiceStats]) -> Table {
    let mut table = Table::new(&[
        "DNS",
        "LOCAL",
        "CACHED",
        "FORWARDED",
        "REFUSED",
        "LIMITED",
        "FAILURES",
        "IN CACHE",
    ]);
    for service in services.iter().filter(|it| !it.dns.is_empty()) {
        let count = |what: &str| service.dns.get(what).copied().unwrap_or(0).to_string();
        table.row([
            service.network.to_string(),
            count("local"),
            count("cached"),
            count("forwarded"),
            count("refused"),
            count("limited"),
            service.dns_failures.to_string(),
            service.dns_cache_entries.to_string(),
        ]);
    }
    table
}

fn leases(services: &[ServiceStats]) -> Table {
    let mut table = Table::new(&[
        "DHCP",
        "LEASES",
        "STATIC",
        "DISCOVERS",
        "REQUESTS",
        "ACKS",
        "NAKS",
        "DROPS",
    ]);
    for service in services.iter().filter(|it| !it.dhcp.is_empty()) {
        let count = |what: &str| service.dhcp.get(what).copied().unwrap_or(0).to_string();
        table.row([
            service.network.to_string(),
            service.leases.to_string(),
            service.static_leases.to_string(),
            count("discovers"),
            count("requests"),
            count("acks"),
            count("naks"),
            service.dhcp_drops.values().sum::<u64>().to_string(),
        ]);
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
