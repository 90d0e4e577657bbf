//! A switch full of stations and a source of batches for it, shared by the switch's benchmarks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tapweave_net::{Frame, MacAddr, Offload, PortNo, Timestamp};
use tapweave_switch::{NetworkConfig, PortConfig, StormLimits, Suppression, Switch, SwitchConfig};

/// Frames of a batch, as many as a worker reads at once.
pub(crate) const BATCH_LEN: usize = 32;
pub(crate) const PORTS: usize = 8;
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1000);
const FRAME_LEN: usize = 64;

/// One network of eight ports.
pub(crate) struct Rig {
    pub(crate) switch: Arc<Switch>,
    pub(crate) ports: Vec<PortNo>,
    pub(crate) station_count: u64,
}

impl Rig {
    /// Returns a network with room for `station_count` stations, that knows none.
    pub(crate) fn new(station_count: u32, worker_count: usize) -> Self {
        let switch = Arc::new(Switch::new(SwitchConfig {
            worker_count,
            seed: 0x5eed,
        }));
        let network = switch.add_network(NetworkConfig {
            mtu: 1500,
            ageing: Duration::from_mins(5),
            fdb_limit: station_count,
            snooping: Some(tapweave_switch::SnoopingConfig::default()),
            storm: StormLimits::NONE,
            gateway: None,
            suppression: Suppression::Off,
        });
        let config = PortConfig::OPEN;
        let ports = (0..PORTS).filter_map(|_| switch.add_port(network, config.clone()).ok());
        Self {
            ports: ports.collect(),
            switch,
            station_count: u64::from(station_count),
        }
    }

    /// Returns such a network that knows all of them, each on the port of its number.
    pub(crate) fn full(station_count: u32, worker_count: usize) -> Self {
        let rig = Self::new(station_count, worker_count);
        let mut pipeline = rig.switch.pipeline(0);
        let mut verdicts = Vec::new();
        for station in 0..rig.station_count {
            let mut data = frame(u64::MAX, station);
            let frame = [Frame::new(&mut data, 0, Offload::NONE)];
            pipeline.handle_batch(NOW, rig.port_of(station), &frame, &mut verdicts);
        }
        rig
    }

    pub(crate) fn port_of(&self, station: u64) -> PortNo {
        self.ports[usize::try_from(station).unwrap_or(0) % PORTS]
    }
}

/// Numbers that look random and are the same in each run (a linear congruential generator).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A station of `rig` on the port of number `port`.
    pub(crate) fn station_on(&mut self, rig: &Rig, port: usize) -> u64 {
        let row = self.below(rig.station_count / PORTS as u64);
        row * PORTS as u64 + port as u64
    }

    /// A station of `rig` on another port.
    pub(crate) fn station_off(&mut self, rig: &Rig, port: usize) -> u64 {
        let step = 1 + self.below(PORTS as u64 - 1);
        self.station_on(rig, (port + usize::try_from(step).unwrap_or(1)) % PORTS)
    }
}

/// The frame from one station to another.
pub(crate) fn frame(to: u64, from: u64) -> [u8; FRAME_LEN] {
    let mut data = [0; FRAME_LEN];
    data[..6].copy_from_slice(&mac(to).octets());
    data[6..12].copy_from_slice(&mac(from).octets());
    data[12..14].copy_from_slice(&[0x08, 0x00]);
    data
}

/// The address of a station, multiplied so that neighbours do not look alike.
fn mac(station: u64) -> MacAddr {
    const LOCAL: u64 = 0x0200_0000_0000;
    MacAddr::from_u64(LOCAL | (station.wrapping_mul(0x9e37_79b9_7f4a) & 0xff_ffff_ffff))
}

/// Returns how long `work` takes on `batch_count` batches that `make` fills, without the filling. The
/// two clock readings of a batch are in it: about a nanosecond a frame.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]
pub(crate) fn time_batches(
    batch_count: u64,
    mut make: impl FnMut() -> [[u8; FRAME_LEN]; BATCH_LEN],
    mut work: impl FnMut(&[Frame<'_>]),
) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..batch_count {
        let mut data = make();
        let frames = data
            .each_mut()
            .map(|data| Frame::new(data, 0, Offload::NONE));
        let start = Instant::now();
        work(&frames);
        total += start.elapsed();
    }
    total
}
