//! The demo: it works, says so, and leaves nothing, however it ends.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tapweave_integration::process::Background;
use tapweave_integration::{Family, Lab, wait};

/// The demo itself, two daemons with a holder each, an agent in each of its seven sandboxes, and one outside.
const MEMBER_COUNT: usize = 13;

/// How long the demo may take on a busy machine until it has tried everything.
const STORY_LIMIT: Duration = Duration::from_mins(1);

/// Starts a demo and waits until `line`, if there is one, and all of its processes are there.
fn start(lab: &Lab, family: &Family, options: &[&str], line: Option<&str>) -> Result<Background> {
    let mut command = family.command()?;
    command.arg("demo").args(options);
    let mut demo = Background::start(&mut command, &lab.file("demo.log"))?;
    if let Some(line) = line {
        demo.line_within(line, STORY_LIMIT)?;
    }
    wait::until_true("the demo's processes and folder", wait::SOON, || {
        Ok(family.members()?.len() >= MEMBER_COUNT && !family.files()?.is_empty())
    })?;
    Ok(demo)
}

/// Sends a signal to the demo alone; then nothing of it may be left.
fn end(mut demo: Background, family: &Family, signal: Signal) -> Result<()> {
    demo.signal(signal)?;
    let status = demo.exit(wait::SOON)?;
    assert!(!status.success(), "{signal:?}: {status}");
    nothing_is_left(family)
}

/// Waits for the processes, of which a holder that a daemon has taken over is nobody's child and ends by itself.
fn nothing_is_left(family: &Family) -> Result<()> {
    wait::until_true("the end of the demo's processes", wait::SOON, || {
        Ok(family.members()?.is_empty())
    })?;
    let left = family.files()?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

#[cfg(test)]
mod everywhere {
    use serde_json::Value;
    use tapweave_integration::listing;
    use tapweave_integration::process::expect_success;

    use super::*;

    #[test]
    fn every_step_of_the_demo_works_and_nothing_is_left() -> Result<()> {
        Lab::run(|_| {
            let family = Family::new()?;
            let said = expect_success(family.command()?.args(["demo", "--json"]), "")?;
            let report: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
            let mut steps = Vec::new();
            for step in listing::rows(&report["steps"])? {
                assert_eq!(step["ok"], true, "{step}");
                steps.push((listing::text(step, "what")?, listing::text(step, "way")?));
            }
            assert_eq!(
                steps,
                [
                    ("connect", ""),
                    ("names", "alice"),
                    ("ICMP echo", "alice → bob"),
                    ("ICMP echo", "carol → dave"),
                    ("UDP, 1400 bytes", "bob → alice"),
                    ("TCP transfer", "alice → bob"),
                    ("TCP transfer", "dave → carol"),
                    ("ICMP echo", "erin → frank"),
                    ("UDP, 1400 bytes", "grace → erin"),
                    ("TCP transfer", "frank → erin"),
                    ("fdb show", "east"),
                    ("fdb show", "west"),
                    ("TCP, 1 stream", "erin → frank"),
                    ("peer ls", "east"),
                    ("learning", "east"),
                    ("isolation", "alice → carol"),
                    ("masquerade", "alice → world"),
                    ("UDP, 1400 bytes", "dave → world"),
                    ("TCP transfer", "alice → world"),
                    ("published port", "world → bob"),
                    ("hairpin", "alice → bob"),
                    ("hairpin", "carol → bob"),
                    ("no way around", "alice → carol"),
                    ("TCP, 1 stream", "alice → world"),
                    ("TCP, 1 stream", "alice → bob"),
                    ("TCP, 4 streams", "alice → bob"),
                    ("takeover", "east"),
                    ("TCP transfer", "carol → dave"),
                    ("TCP transfer", "alice → world"),
                    ("TCP transfer", "erin → frank"),
                    ("sandbox ends", "dave"),
                    ("clean up", ""),
                ]
            );
            assert_eq!(listing::rows(&report["networks"])?.len(), 3);
            assert_eq!(listing::rows(&report["ports"])?.len(), 7);
            assert_eq!(listing::rows(&report["peers"])?.len(), 1);
            assert!(!listing::rows(&report["nat"])?.is_empty());
            nothing_is_left(&family)
        })
    }

    fn leaves_nothing(signal: Signal) -> Result<()> {
        Lab::run(|lab| {
            let family = Family::new()?;
            let demo = start(lab, &family, &[], None)?;
            end(demo, &family, signal)
        })
    }

    #[test]
    fn a_demo_that_is_interrupted_leaves_nothing() -> Result<()> {
        leaves_nothing(Signal::INT)
    }

    #[test]
    fn a_demo_that_is_told_to_stop_leaves_nothing() -> Result<()> {
        leaves_nothing(Signal::TERM)
    }

    #[test]
    fn a_demo_that_is_killed_leaves_nothing() -> Result<()> {
        leaves_nothing(Signal::KILL)
    }
}

/// What does not depend on the rights of the demo.
#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn a_demo_that_is_kept_and_then_killed_leaves_nothing() -> Result<()> {
        Lab::run(|lab| {
            let family = Family::new()?;
            let demo = start(lab, &family, &["--keep"], Some("Press Enter"))?;
            end(demo, &family, Signal::KILL)
        })
    }
}
