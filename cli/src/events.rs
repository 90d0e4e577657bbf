//! `tapweave events`

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use clap::Args;
use tapweave_control::api::{Event, Lagged};
use tapweave_control::client::{EventMessage, EventsFrom};
use tapweave_control::{EventFilter, unix_time_of};
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
    since: Option<Moment>,
    /// End with what happened until then, at once if that is past (0s: now)
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

/// A point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    /// So long ago.
    Ago(Duration),
    /// So long after the beginning of 1970.
    At(Duration),
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
    let from = args.since.map_or(EventsFrom::Now, |since| {
        EventsFrom::Time(in_seconds(since.since_1970()))
    });
    let until = args.until.map(Moment::since_1970);
    let until_text = until.map(in_seconds);
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let events = context.client.events(&from, until_text.as_deref(), &filter);
    let mut events = events.await?;
    loop {
        let message = tokio::select! {
            message = events.next() => message?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        match message {
            Some(EventMessage::Event(event)) => print(&event, context)?,
            Some(EventMessage::Lagged(lagged)) => print_lag(lagged, context)?,
            None if until.is_some_and(|until| until <= now()) => return Ok(()),
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

impl Moment {
    fn since_1970(self) -> Duration {
        match self {
            Self::Ago(ago) => now().saturating_sub(ago),
            Self::At(time) => time,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long ago is said from the clock of this command"
)]
fn now() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default()
}

fn in_seconds(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || "should be as 2026-01-31T12:00:00Z, 90s, 1h30m or 2d".to_owned();
        let ends_in_unit = text.ends_with(['s', 'm', 'h', 'd']);
        if !ends_in_unit {
            return unix_time_of(text).map(Self::At).ok_or_else(malformed);
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
            let number: u32 = number.parse().map_err(|_not_a_number| malformed())?;
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
        let moment = |text: &str| text.parse::<Moment>();
        assert_eq!(moment("0s"), Ok(Moment::Ago(Duration::ZERO)));
        assert_eq!(moment("90s"), Ok(Moment::Ago(Duration::from_secs(90))));
        assert_eq!(moment("1h30m"), Ok(Moment::Ago(Duration::from_mins(90))));
        assert_eq!(moment("2d"), Ok(Moment::Ago(Duration::from_hours(48))));
        for text in ["1700000000.5", "2023-11-14T22:13:20.500Z"] {
            let time = Duration::from_millis(1_700_000_000_500);
            assert_eq!(moment(text), Ok(Moment::At(time)));
        }
        for text in [
            "s",
            "-1s",
            "1.5h",
            "1h30",
            "tomorrows",
            "",
            "yesterday",
            "2026-01-31",
        ] {
            moment(text).unwrap_err();
        }
    }
}
