//! The demo: it works, says so, and leaves nothing, however it ends.

#[cfg(test)]
mod everywhere {
    use anyhow::{Context, Result};
    use rustix::process::Signal;
    use serde_json::Value;
    use tapweave_integration::process::{Background, expect_success};
    use tapweave_integration::{Family, Lab, listing, wait};

    /// The demo itself, its daemon, an agent in each of its four sandboxes, and one outside.
    const MEMBER_COUNT: usize = 7;

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
                    ("ICMP echo", "alice → bob"),
                    ("ICMP echo", "carol → dave"),
                    ("UDP, 1400 bytes", "bob → alice"),
                    ("TCP transfer", "alice → bob"),
                    ("TCP transfer", "dave → carol"),
                    ("learning", ""),
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
                    ("sandbox ends", "dave"),
                    ("clean up", ""),
                ]
            );
            assert_eq!(listing::rows(&report["networks"])?.len(), 2);
            assert_eq!(listing::rows(&report["ports"])?.len(), 4);
            assert!(!listing::rows(&report["nat"])?.is_empty());
            assert_eq!(family.members()?, []);
            assert!(family.files()?.is_empty(), "{:?}", family.files()?);
            Ok(())
        })
    }

    /// Starts a demo and waits until `line`, if there is one, and all of its processes are there.
    fn start(
        lab: &Lab,
        family: &Family,
        options: &[&str],
        line: Option<&str>,
    ) -> Result<Background> {
        let mut command = family.command()?;
        command.arg("demo").args(options);
        let mut demo = Background::start(&mut command, &lab.file("demo.log"))?;
        if let Some(line) = line {
            demo.line(line)?;
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
        wait::until_true("the end of the demo's processes", wait::SOON, || {
            Ok(family.members()?.is_empty())
        })?;
        let left = family.files()?;
        assert!(left.is_empty(), "{signal:?}: {left:?}");
        Ok(())
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

    #[test]
    fn a_demo_that_is_kept_and_then_killed_leaves_nothing() -> Result<()> {
        Lab::run(|lab| {
            let family = Family::new()?;
            let demo = start(lab, &family, &["--keep"], Some("Press Enter"))?;
            end(demo, &family, Signal::KILL)
        })
    }
}
