//! `tapweave demo`: the main job end to end, in namespaces of its own.
//!
//! Two hosts joined by an underlay, two networks on one of them and one on both, sandboxes in each, and a
//! world outside. What it says it has seen, it has seen: every step checks
//! what came out, and the demo fails if one did not work. Needs nothing but the kernel.
//!
//! However the demo ends, its daemons and its sandboxes see their stdin end, and end too; so there is
//! no signal to handle here.

mod agent;
mod daemon;
mod gateway;
mod host;
mod lab;
mod names;
mod overlay;
mod page;
mod stopwatch;
mod story;
mod takeover;
mod traffic;
mod world;

use std::io;

use anyhow::ensure;
use clap::Args;

pub(crate) use self::agent::run_agent_if_requested;
pub(crate) use self::daemon::run_daemon_if_requested;
use self::lab::Lab;
use crate::output::{Form, Output};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Leave everything running, print how to look around, and end with the next line on stdin
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(args: &DemoArgs, output: &mut Output<'_>) -> anyhow::Result<()> {
    world::enter()?;
    let mut lab = Lab::start()?;
    let mut report = story::tell(&mut lab)?;
    if args.keep {
        page::print_keep(&lab, output.writer())?;
        io::stdin().read_line(&mut String::new())?;
    } else {
        story::end_a_sandbox(&mut lab, &mut report)?;
    }
    story::stop(lab, &mut report)?;
    match output.form() {
        Form::Json => output.json(&report)?,
        Form::Text | Form::Quiet => page::print(&report, output.writer())?,
    }
    ensure!(report.is_all_well(), "not every step of the demo worked");
    Ok(())
}
