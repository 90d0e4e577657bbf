//! `tapweave stats`

use tapweave_control::api::Stats;
use tapweave_control::datapath::WorkerStats;

use crate::context::Context;
use crate::output::Form;
use crate::port;
use crate::table::Table;

pub(crate) async fn run(context: &mut Context<'_>) -> anyhow::Result<()> {
    let stats = context.client.stats().await?;
    let output = &mut context.output;
    match output.form() {
        Form::Json => output.json(&stats)?,
        Form::Text | Form::Quiet => write!(
            output.writer(),
            "{}\n{}\n{}",
            totals(&stats),
            workers(&stats),
            tables(&stats)
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
