//! What somebody at a terminal sees while a request takes long.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// What takes less says nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Goes to the beginning of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// Waits for `work`. After a second, and every second from then on, says on the standard error, if that is a terminal, how
/// long it has taken; the line is gone when there is an answer.
pub(crate) async fn watched<T>(work: impl Future<Output = T>) -> T {
    let stderr = io::stderr();
    if stderr.is_terminal() {
        watched_on(stderr, work).await
    } else {
        work.await
    }
}

async fn watched_on<T>(mut terminal: impl Write, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let start = Instant::now();
    let mut ticks = interval_at(start + PATIENCE, PATIENCE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut has_spoken = false;
    loop {
        tokio::select! {
            outcome = work.as_mut() => {
                if has_spoken {
                    say(&mut terminal, CLEAR);
                }
                return outcome;
            }
            _ = ticks.tick() => {
                has_spoken = true;
                let seconds = start.elapsed().as_secs();
                say(&mut terminal, &format!("{CLEAR}the daemon is at it for {seconds} s"));
            }
        }
    }
}

/// A terminal that has gone is no reason to stop.
fn say(terminal: &mut impl Write, text: &str) {
    let _said = terminal
        .write_all(text.as_bytes())
        .and_then(|()| terminal.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said_during(work: Duration) -> String {
        let mut terminal = Vec::new();
        watched_on(&mut terminal, tokio::time::sleep(work)).await;
        String::from_utf8(terminal).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_within_a_second_says_nothing() {
        assert_eq!(said_during(Duration::from_millis(900)).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_longer_counts_seconds_and_leaves_an_empty_line() {
        let said = said_during(Duration::from_millis(2_500)).await;
        let lines: Vec<_> = said.split(CLEAR).collect();
        assert_eq!(
            lines,
            [
                "",
                "the daemon is at it for 1 s",
                "the daemon is at it for 2 s",
                ""
            ]
        );
    }
}
