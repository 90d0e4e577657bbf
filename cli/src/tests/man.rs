//! The manual pages.

use std::fs;
use std::process::Command as Process;

use clap::{Command, CommandFactory};

use super::parse;
use crate::args::Cli;
use crate::execute;

/// Returns the names of the pages that there have to be.
fn pages(command: &Command) -> Vec<String> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let below = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    let below = below.flat_map(pages).filter(|page| !page.contains("help"));
    std::iter::once(format!("{name}.1")).chain(below).collect()
}

#[test]
fn every_command_has_a_manual_page_that_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let mut printed = Vec::new();
    let line = format!("man {}/man1", folder.path().display());
    execute(parse(&line).unwrap(), &mut printed).unwrap();
    let printed = String::from_utf8(printed).unwrap();

    let mut cli = Cli::command();
    cli.build();
    let mut expected = pages(&cli);
    assert!(expected.len() > 30, "{expected:?}");
    expected.sort();
    let mut written: Vec<_> = printed.lines().map(str::to_owned).collect();
    written.sort();
    assert_eq!(written, expected);

    let mut lint = Process::new("mandoc");
    lint.args(["-Tlint", "-Werror"]);
    for page in &written {
        let path = folder.path().join("man1").join(page);
        let text = fs::read_to_string(&path).unwrap();
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            assert!(text.contains(part), "{page} lacks {part}");
        }
        lint.arg(path);
    }
    // Where mandoc is not installed, the parts above have to do.
    if let Ok(output) = lint.output() {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}
