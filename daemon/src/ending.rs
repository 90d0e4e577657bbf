//! How a daemon ends: what tells it to, and how it hands over to another one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapweave_control::Controller;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::datapath::SwitchDatapath;
use crate::takeover::{Door, Successor, start_anew};
use crate::uplink::Uplink;

/// How long clients may take to finish their requests, and to read the answers, once the daemon stops.
const GRACE: Duration = Duration::from_secs(2);

/// How often it is looked whether everybody has let go of the store.
const CLOSE_PAUSE: Duration = Duration::from_millis(1);

/// Why a daemon ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Everything is taken down.
    Stop(Result<()>),
    /// Another one goes on.
    HandOver(Successor),
}

/// What a daemon is told by signals.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn handle() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot handle SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot handle SIGINT")?,
            hangup: signal(SignalKind::hangup()).context("cannot handle SIGHUP")?,
        })
    }
}

/// Waits for the word to end, and calls `reload` for each to read the configuration again.
pub(crate) async fn until_told(
    mut signals: Signals,
    door: Door,
    mut reload: impl FnMut(),
) -> Ending {
    let mut successor = std::pin::pin!(door.successor());
    loop {
        tokio::select! {
            successor = &mut successor => {
                info!("another daemon takes over");
                return Ending::HandOver(successor);
            }
            _ = signals.terminate.recv() => {
                info!("stopping on SIGTERM");
                return Ending::Stop(Ok(()));
            }
            _ = signals.interrupt.recv() => {
                info!("stopping on SIGINT");
                return Ending::Stop(Ok(()));
            }
            _ = signals.hangup.recv() => reload(),
        }
    }
}

/// Lets clients finish their requests, for a while.
pub(crate) async fn finish_requests(server: &mut JoinHandle<io::Result<()>>) -> Result<()> {
    if let Ok(served) = timeout(GRACE, &mut *server).await {
        served.context("the control server failed")??;
    } else {
        warn!("a client did not finish its request and is not waited for");
        server.abort();
    }
    Ok(())
}

/// Lets go of everything for another daemon, or starts anew if that fails.
pub(crate) async fn hand_over(
    mut successor: Successor,
    controller: Arc<Controller>,
    uplink: Uplink,
    datapath: Arc<SwitchDatapath>,
) -> Result<()> {
    // The store is closed with the last of them. What still runs was begun before, and has milliseconds to do.
    let closed = async {
        while Arc::strong_count(&controller) > 1 {
            sleep(CLOSE_PAUSE).await;
        }
    };
    if timeout(GRACE, closed).await.is_err() {
        warn!("the store is still in use");
    }
    drop(controller);
    let handed_over = async {
        successor.let_prepare().await?;
        let stopped = spawn_blocking(move || {
            datapath.stop_forwarding();
            drop(uplink);
        });
        stopped.await.context("cannot stop to forward")?;
        successor.let_finish().await
    };
    match handed_over.await {
        Ok(()) => {
            info!("another daemon has taken over");
            Ok(())
        }
        Err(error) => {
            error!("another daemon could not take over: {error:#}");
            Err(start_anew())
        }
    }
}
