//! The demo, ended before its time: nothing of it may stay.

#[cfg(test)]
mod everywhere {
    use std::fs;
    use std::process::Command;

    use anyhow::Result;
    use rustix::process::Signal;
    use tapweave_integration::process::Background;
    use tapweave_integration::{Lab, kernel, wait};

    #[test]
    fn a_demo_that_is_ended_by_any_signal_takes_everything_along() -> Result<()> {
        Lab::run(|lab| {
            for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
                let folder = lab.file(format!("{signal:?}"));
                fs::create_dir(&folder)?;
                let mut command = Command::new(tapweave_integration::cli::binary()?);
                command.args(["demo", "--keep"]).env("TMPDIR", &folder);
                let mut demo = Background::start(&mut command, &lab.file("demo.log"))?;
                demo.line("Press Enter")?;
                let children = kernel::children(demo.pid())?;
                assert_eq!(children.len(), 5, "a daemon and four sandboxes");
                assert_eq!(fs::read_dir(&folder)?.count(), 1);
                demo.signal(signal)?;
                demo.exit(wait::SOON)?;
                wait::until_true("the demo's processes to end", wait::SOON, || {
                    Ok(!children.iter().any(|pid| kernel::is_alive(*pid)))
                })?;
                assert_eq!(fs::read_dir(&folder)?.count(), 0, "{signal:?}");
            }
            Ok(())
        })
    }
}
