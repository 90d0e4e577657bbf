//! `tapweave daemon`

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use tapweave_daemon::{BackendChoice, Options};

use crate::args::Global;
use crate::output::Output;

/// Most worker threads.
const MAX_WORKERS: usize = 256;

#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    /// Threads that carry frames, 1 to 256; each queue of a port is read by one of them
    #[arg(long, value_name = "N", value_parser = workers, default_value = "1")]
    pub(crate) workers: NonZeroUsize,
    /// How workers wait for frames
    #[arg(long, value_name = "KIND", default_value = "auto")]
    pub(crate) backend: BackendKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum BackendKind {
    /// The best that the kernel offers
    Auto,
    /// epoll(7), which works everywhere
    Epoll,
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let workers = text.parse::<NonZeroUsize>().ok();
    workers
        .filter(|workers| workers.get() <= MAX_WORKERS)
        .ok_or_else(|| format!("should be a number from 1 to {MAX_WORKERS}"))
}

pub(crate) fn run(
    args: &DaemonArgs,
    global: &Global,
    output: &mut Output<'_>,
) -> anyhow::Result<()> {
    let options = Options {
        socket: crate::context::control_socket(global),
        worker_count: args.workers.get(),
        backend: match args.backend {
            BackendKind::Auto => BackendChoice::Auto,
            BackendKind::Epoll => BackendChoice::Epoll,
        },
    };
    tapweave_daemon::run(&options, || {
        output.line("ready")?;
        output.writer().flush()
    })
}
