//! `tapweave events`

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use clap::Args;
use tapweave_control::EventFilter;
use tapweave_control::api::{Event, Lagged};
use tapweave_control::client::{EventMessage, EventsFrom};
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::output::{Form, UsageError};

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only events that have it (repeatable: one of the values of each key); KEY is type, action, id,
    /// network, sandbox, endpoint or peer
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    filters: Vec<String>,
    /// Begin with what happened since then, as far as the daemon still knows: a time such as
    /// 2026-01-31T12:00:00Z, seconds since 1970, or how long ago (90s, 1h30m)
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
}

/// When the events begin that are of interest.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Since {
    /// So long ago.
    Ago(Duration),
    /// In the daemon's words.
    Time(String),
}

/// Prints what happens until the daemon ends or somebody has seen enough.
pub(crate) async fn run(args: EventsArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut filter = EventFilter::default();
    for text in &args.filters {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| UsageError::new(format!("--filter {text:?} should be KEY=VALUE")))?;
        let added = filter.add(key, value);
        added.map_err(|error| UsageError::new(error.to_string()))?;
    }
    let from = match args.since {
        None => EventsFrom::Now,
        Some(Since::Time(time)) => EventsFrom::Time(time),
        Some(Since::Ago(ago)) => EventsFrom::Time(seconds_since_1970(ago)),
    };
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut events = context.client.events(&from, &filter).await?;
    loop {
        let message = tokio::select! {
            message = events.next() => message?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        match message {
            Some(EventMessage::Event(event)) => print(&event, context)?,
            Some(EventMessage::Lagged(lagged)) => print_lag(lagged, context)?,
            None => return Err(anyhow!("the daemon has ended, and with it the events")),
        }
        // Whoever reads from a pipe wants to know now.
        context.output.writer().flush()?;
    }
}

fn print(event: &Event, context: &mut Context<'_>) -> anyhow::Result<()> {
    let output = &mut context.output;
    match output.form() {
        Form::Json => output.line(serde_json::to_string(event)?)?,
        Form::Quiet => output.line(&event.actor.id)?,
        Form::Text => output.line(in_words(event))?,
    }
    Ok(())
}

fn print_lag(lagged: Lagged, context: &mut Context<'_>) -> anyhow::Result<()> {
    let output = &mut context.output;
    match output.form() {
        Form::Json => {
            let lag = serde_json::json!({ "type": "lagged", "missed": lagged.missed });
            output.line(lag)?;
        }
        Form::Quiet => {}
        Form::Text => match lagged.missed {
            Some(missed) => output.line(format_args!("({missed} events were missed)"))?,
            None => output.line("(some events were missed)")?,
        },
    }
    Ok(())
}

/// Returns a line in the manner of `docker events`.
fn in_words(event: &Event) -> String {
    let pairs = event.actor.attributes.iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!(
        "{} {} {} {} ({})",
        event.time,
        event.kind.as_str(),
        event.action.as_str(),
        event.actor.id,
        pairs.join(", ")
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long ago is said from the clock of this command"
)]
fn seconds_since_1970(ago: Duration) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let then = now.unwrap_or_default().saturating_sub(ago);
    format!("{}.{:09}", then.as_secs(), then.subsec_nanos())
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ends_in_unit = text.ends_with(['s', 'm', 'h', 'd']);
        if !ends_in_unit {
            return Ok(Self::Time(text.to_owned()));
        }
        let mut ago = Duration::ZERO;
        for part in text.split_inclusive(['s', 'm', 'h', 'd']) {
            let (number, unit) = part.split_at(part.len() - 1);
            let unit = match unit {
                "s" => Duration::from_secs(1),
                "m" => Duration::from_mins(1),
                "h" => Duration::from_hours(1),
                _ => Duration::from_hours(24),
            };
            let number: u32 = number
                .parse()
                .map_err(|_not_a_number| "should be as 90s, 1h30m or 2d".to_owned())?;
            ago = ago.saturating_add(unit.saturating_mul(number));
        }
        Ok(Self::Ago(ago))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_is_told_from_a_time() {
        let since = |text: &str| text.parse::<Since>();
        assert_eq!(since("90s"), Ok(Since::Ago(Duration::from_secs(90))));
        assert_eq!(since("1h30m"), Ok(Since::Ago(Duration::from_mins(90))));
        assert_eq!(since("2d"), Ok(Since::Ago(Duration::from_hours(48))));
        for text in ["1700000000.5", "2026-01-31T12:00:00Z"] {
            assert_eq!(since(text), Ok(Since::Time(text.to_owned())));
        }
        for text in ["s", "-1s", "1.5h", "1h30", "tomorrows"] {
            assert!(!matches!(since(text), Ok(Since::Ago(_))), "{text}");
        }
    }
}
