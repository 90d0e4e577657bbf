//! Joins the network namespaces of two processes by a wire: the least that can be done with an event
//! loop, and so what a switch is measured against.
//!
//! ```text
//! unshare --user --map-root-user --net sleep 1h &   # twice; then, with their numbers:
//! cargo run --release -p tapweave-device --example wire -- 1201 1202 [epoll]
//! ```
//!
//! The first gets `10.99.0.1/24` and `fd99::1/64`, the second `10.99.0.2/24` and `fd99::2/64`.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tapweave_device::{
    Attacher, Backend, BatchHandler, Egress, EpollBackend, InterfaceSpec, NetNamespace, Offloading,
    Reading, SendError, UringBackend, run_helper_if_requested,
};
use tapweave_net::{Frame, MacAddr, PortNo, VnetHdrError};

const PORTS: [PortNo; 2] = [PortNo::new(0, 0), PortNo::new(1, 0)];

#[derive(Default)]
struct Wire {
    frame_count: u64,
    batch_count: u64,
    lost_count: u64,
    failure: Option<io::Error>,
}

impl BatchHandler for Wire {
    fn handle_batch(
        &mut self,
        ingress: PortNo,
        frames: &mut [Frame<'_>],
        egress: &mut dyn Egress,
    ) -> usize {
        let to = PORTS[usize::from(ingress == PORTS[0])];
        self.batch_count += 1;
        for frame in &mut *frames {
            self.frame_count += 1;
            if egress.send(to, frame).is_err() {
                self.lost_count += 1;
            }
        }
        frames.len()
    }

    fn handle_completion(
        &mut self,
        _: PortNo,
        frame_count: usize,
        _: usize,
        outcome: Result<(), SendError>,
    ) {
        if outcome.is_err() {
            self.lost_count += frame_count as u64;
        }
    }

    fn handle_malformed(&mut self, _: PortNo, _: VnetHdrError) {
        self.lost_count += 1;
    }

    fn handle_port_failure(&mut self, _: PortNo, error: io::Error) {
        self.failure = Some(error);
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Some(code) = run_helper_if_requested() {
        return Ok(code);
    }
    let mut backend: Box<dyn Backend> = match env::args().nth(3).as_deref() {
        Some("epoll") => Box::new(EpollBackend::new(Duration::ZERO)?),
        _ => Box::new(UringBackend::new(Duration::ZERO)?),
    };
    let attacher = Attacher::default();
    for (number, (port, pid)) in (1..).zip(PORTS.into_iter().zip(env::args().skip(1).take(2))) {
        let spec = InterfaceSpec {
            ifname: None,
            mac: MacAddr::new([2, 0, 0, 0, 99, number]),
            mtu: 1500,
            addresses: vec![
                format!("10.99.0.{number}/24").parse()?,
                format!("fd99::{number}/64").parse()?,
            ],
            default_gateways: Vec::new(),
            route_metric: 512,
            queue_count: 1,
            offloading: Offloading::On,
            segments_max: None,
        };
        let interface = attacher.attach(&NetNamespace::open_pid(pid.parse()?)?, &spec)?;
        for queue in interface.queues {
            backend.add_port(port, Arc::new(queue), Reading::Here)?;
        }
    }
    let mut wire = Wire::default();
    writeln!(io::stdout(), "ready")?;
    while wire.failure.is_none() {
        backend.turn(None, &mut wire)?;
    }
    let Wire {
        frame_count,
        batch_count,
        lost_count,
        ..
    } = wire;
    writeln!(
        io::stdout(),
        "{frame_count} frames in {batch_count} batches, {lost_count} lost"
    )?;
    Ok(ExitCode::SUCCESS)
}
