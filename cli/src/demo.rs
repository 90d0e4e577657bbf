//! `tapweave demo`

use anyhow::bail;
use clap::Args;

use crate::args::Global;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {}

pub(crate) fn run(
    _args: &DemoArgs,
    _global: &Global,
    _output: &mut Output<'_>,
) -> anyhow::Result<()> {
    bail!("this build has no packet path to show");
}
