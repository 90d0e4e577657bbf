//! Lists and runs tests as `cargo test` and nextest expect it of a test program.

use std::env;
use std::panic;
use std::process::{Command, ExitCode};

/// A test and where it is to run.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) run: fn(),
}

/// Where a test runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// As whoever started it, in the namespaces that it was started in.
    Outside,
    /// As root of a user, network and mount namespace of its own.
    OwnNamespaces,
}

/// Set for the process that runs one test in namespaces of its own.
const INSIDE: &str = "TAPWEAVE_TEST_INSIDE";

#[derive(Default)]
struct Arguments {
    list: bool,
    ignored: bool,
    exact: bool,
    filters: Vec<String>,
}

pub(crate) fn run(groups: &[&'static [Test]]) -> ExitCode {
    let arguments = parse(env::args().skip(1));
    let tests: Vec<&Test> = groups
        .iter()
        .copied()
        .flatten()
        .filter(|test| arguments.takes(test.name))
        .collect();
    if arguments.list {
        for test in tests {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", tests.len());
    let failed = tests.iter().filter(|test| !passes(test)).count();
    let passed = tests.len() - failed;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed\n");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn passes(test: &Test) -> bool {
    let passed = if test.place == Place::OwnNamespaces && env::var_os(INSIDE).is_none() {
        let status = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--mount", "--"])
            .arg(env::current_exe().unwrap())
            .args([test.name, "--exact"])
            .env(INSIDE, "1")
            .status();
        status.unwrap().success()
    } else {
        panic::catch_unwind(test.run).is_ok()
    };
    let verdict = if passed { "ok" } else { "FAILED" };
    println!("test {} ... {verdict}", test.name);
    passed
}

fn parse(mut words: impl Iterator<Item = String>) -> Arguments {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => arguments.list = true,
            "--ignored" => arguments.ignored = true,
            "--exact" => arguments.exact = true,
            "--format" | "--test-threads" | "--color" | "--skip" => drop(words.next()),
            option if option.starts_with('-') => {}
            _ => arguments.filters.push(word),
        }
    }
    arguments
}

impl Arguments {
    fn takes(&self, name: &str) -> bool {
        let fits = |filter: &String| {
            if self.exact {
                filter == name
            } else {
                name.contains(filter.as_str())
            }
        };
        // No test of this program is ever ignored.
        !self.ignored && (self.filters.is_empty() || self.filters.iter().any(fits))
    }
}
