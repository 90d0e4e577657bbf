//! Real TAP interfaces in namespaces of the test's own.
//!
//! ```text
//!   sandbox A (user + net namespace)        sandbox B
//!        eth0 ── TAP queue ── test process ── TAP queue ── eth0
//! ```
//!
//! Runs as root and as an ordinary user who may open `/dev/net/tun`. The program is its own attach
//! helper, so it has a `main` and, in `harness`, as much of the standard test harness as `cargo test`
//! and nextest need. Nothing leaves the namespaces that a test makes.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod attach;
#[cfg(test)]
mod cable;
#[cfg(test)]
mod end;
#[cfg(test)]
mod flows;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hold;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod uplink;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = tapweave_device::run_helper_if_requested() {
        return code;
    }
    if let Some(code) = tcp::run_if_requested() {
        return code;
    }
    harness::run(&[
        addresses::TESTS,
        attach::TESTS,
        cable::TESTS,
        end::TESTS,
        flows::TESTS,
        hold::TESTS,
        traffic::TESTS,
        uplink::TESTS,
    ])
}
