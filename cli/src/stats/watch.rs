//! `tapweave stats --watch`

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::Context as _;
use tapweave_control::api::Stats;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::context::Context;
use crate::output::Form;
use crate::table::Table;

/// Time between two pages.
const PERIOD: Duration = Duration::from_secs(1);

/// Moves to the upper left corner of a terminal and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Prints the figures again and again, and what was counted meanwhile, until somebody has seen enough.
pub(super) async fn run(context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<(Instant, Stats)> = None;
    loop {
        let stats = tokio::select! {
            _ = ticks.tick() => context.client.stats().await?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        let now = Instant::now();
        let rates = before.as_ref().map(|(then, before)| {
            let elapsed = now.duration_since(*then);
            rates(before, &stats, elapsed)
        });
        print(&stats, rates.as_ref(), context)?;
        before = Some((now, stats));
    }
}

fn print(stats: &Stats, rates: Option<&Table>, context: &mut Context<'_>) -> anyhow::Result<()> {
    let output = &mut context.output;
    match output.form() {
        Form::Json => output.line(serde_json::to_string(stats)?)?,
        Form::Text | Form::Quiet => {
            let is_terminal = io::stdout().is_terminal();
            let clear = if is_terminal { CLEAR } else { "" };
            let rates = rates.map(Table::to_string).unwrap_or_default();
            let page = super::page(stats);
            write!(output.writer(), "{clear}{rates}\n{page}\n")?;
        }
    }
    // Whoever reads from a pipe wants to know now.
    Ok(output.writer().flush()?)
}

/// Returns what was counted a second between two looks, drop reasons without a frame left out.
///
/// Ports that are gone take their counters along, so a sum may shrink; that counts as nothing.
fn rates(before: &Stats, now: &Stats, elapsed: Duration) -> Table {
    let mut table = Table::new(&["PER SECOND", ""]);
    let seconds = elapsed.as_secs_f64().max(f64::EPSILON);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = |was: u64, is: u64| is.saturating_sub(was) as f64 / seconds;
    let (old, new) = (&before.total, &now.total);
    for (name, was, is) in [
        ("rx frames", old.rx_frames, new.rx_frames),
        ("rx bytes", old.rx_bytes, new.rx_bytes),
        ("tx frames", old.tx_frames, new.tx_frames),
        ("tx bytes", old.tx_bytes, new.tx_bytes),
        ("drops", old.drop_count(), new.drop_count()),
    ] {
        table.row([name.to_owned(), format!("{:.0}", rate(was, is))]);
    }
    for (reason, is) in &new.drops {
        let was = old.drops.get(reason).copied().unwrap_or_default();
        if *is > was {
            table.row([format!("  {reason}"), format!("{:.0}", rate(was, *is))]);
        }
    }
    for (was, is) in before.workers.iter().zip(&now.workers) {
        let worker = is.worker;
        for (what, was, is) in [
            ("wakeups", was.wakeups, is.wakeups),
            ("frames", was.frames, is.frames),
        ] {
            table.row([
                format!("worker {worker} {what}"),
                format!("{:.0}", rate(was, is)),
            ]);
        }
    }
    table
}
