//! The demo: it works, says so, and leaves nothing.

#[cfg(test)]
mod everywhere {
    use anyhow::{Context, Result};
    use serde_json::Value;
    use tapweave_integration::process::expect_success;
    use tapweave_integration::{Family, Lab, listing};

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
                    ("TCP, 1 stream", "alice → bob"),
                    ("TCP, 4 streams", "alice → bob"),
                    ("sandbox ends", "dave"),
                    ("clean up", ""),
                ]
            );
            assert_eq!(listing::rows(&report["networks"])?.len(), 2);
            assert_eq!(listing::rows(&report["ports"])?.len(), 4);
            assert_eq!(family.members()?, []);
            assert!(family.files()?.is_empty(), "{:?}", family.files()?);
            Ok(())
        })
    }
}
