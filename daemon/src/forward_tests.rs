use std::collections::BTreeMap;

use tapweave_device::HEADROOM;
use tapweave_net::{MacAddr, Offload, Vid, VlanTag};
use tapweave_switch::{PortConfig, PortVlans};
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::test_switch::with_network;

const TEN: Vid = match Vid::new(10) {
    Ok(vid) => vid,
    Err(_) => Vid::MIN,
};
/// Priority 5 and no VLAN.
const PRIORITY: VlanTag = VlanTag::from_tci(0xa000);

/// A switch with two access ports of VLAN 10, a trunk of it, a trunk of which it is the native VLAN, a
/// transparent port, and an access port of another VLAN.
struct Rig {
    forwarder: Forwarder,
    ports: [PortNo; 6],
}

impl Rig {
    fn new() -> Self {
        let (switch, network) = with_network(1);
        let trunk = |tagged: &str, native| PortVlans::Trunk {
            tagged: tagged.parse().unwrap(),
            native,
        };
        let ports = [
            PortVlans::Access(TEN),
            PortVlans::Access(TEN),
            trunk("10", None),
            trunk("20", Some(TEN)),
            PortVlans::Transparent,
            PortVlans::Access(Vid::MAX),
        ];
        let ports = ports.map(|vlans| {
            let config = PortConfig {
                vlans,
                ..PortConfig::OPEN
            };
            switch.add_port(network, config).unwrap()
        });
        let (events, _) = unbounded_channel();
        let counters = Arc::default();
        Self {
            forwarder: Forwarder::new(switch.pipeline(0), Clock::new(), counters, events),
            ports,
        }
    }

    /// Lets frames come in from a port, and returns what each port of the rig gets.
    fn handle(
        &mut self,
        ingress: usize,
        frames: &[Vec<u8>],
        egress: &mut Devices,
    ) -> [Vec<Vec<u8>>; 6] {
        let mut buffers: Vec<_> = frames
            .iter()
            .map(|frame| [&[0xa5; HEADROOM], &frame[..]].concat())
            .collect();
        let mut frames: Vec<_> = buffers
            .iter_mut()
            .map(|buffer| Frame::new(buffer, HEADROOM, Offload::NONE))
            .collect();
        egress.sent.clear();
        egress.held.clear();
        self.forwarder
            .handle_batch(self.ports[ingress], &mut frames, egress);
        self.ports.map(|port| {
            let sent = egress.sent.iter().filter(|(to, _)| *to == port);
            sent.map(|(_, bytes)| bytes.clone()).collect()
        })
    }
}

/// Devices that take everything, at once or later.
struct Devices {
    answer: Sent,
    sent: Vec<(PortNo, Vec<u8>)>,
    /// What stood at an address when a frame there was accepted for later.
    held: BTreeMap<usize, Vec<u8>>,
}

impl Devices {
    fn new(answer: Sent) -> Self {
        Self {
            answer,
            sent: Vec::new(),
            held: BTreeMap::new(),
        }
    }
}

impl Egress for Devices {
    fn send(&mut self, to: PortNo, frame: &mut Frame<'_>) -> Result<Sent, SendError> {
        let bytes = frame.data();
        self.sent.push((to, bytes.to_vec()));
        if self.answer == Sent::Later {
            let address = bytes.as_ptr() as usize;
            for (held, before) in &self.held {
                let same_frame = *held == address && before == bytes;
                let apart = held + before.len() <= address || address + bytes.len() <= *held;
                assert!(
                    same_frame || apart,
                    "a frame that a device needs was changed"
                );
            }
            self.held.insert(address, bytes.to_vec());
        }
        Ok(self.answer)
    }
}

fn frame(to: MacAddr, tag: Option<VlanTag>) -> Vec<u8> {
    let mut bytes = to.octets().to_vec();
    bytes.extend([2, 0, 0, 0, 0, 1]);
    if let Some(tag) = tag {
        bytes.extend([0x81, 0x00]);
        bytes.extend(tag.tci().to_be_bytes());
    }
    bytes.extend([0x08, 0x00]);
    bytes.resize(bytes.len() + 46, 0x60);
    bytes
}

#[test]
fn a_flooded_frame_reaches_each_port_in_the_form_that_it_takes() {
    let broadcast = |tag| frame(MacAddr::BROADCAST, tag);
    let pushed = broadcast(Some(VlanTag::new(TEN, 0)));
    let priority = broadcast(Some(PRIORITY));
    let retagged = broadcast(Some(PRIORITY.with_vid(TEN)));
    let untagged = broadcast(None);
    for answer in [Sent::Now, Sent::Later] {
        let mut rig = Rig::new();
        let mut devices = Devices::new(answer);
        // Several in a batch, so that copies would show if they were shared.
        for (ingress, came, tagged) in [
            (0, &untagged, &pushed),
            (0, &priority, &retagged),
            (2, &retagged, &retagged),
            (3, &untagged, &pushed),
        ] {
            let batch = vec![came.clone(); 3];
            let got = rig.handle(ingress, &batch, &mut devices);
            for (port, frames) in got.into_iter().enumerate() {
                let expected = match port {
                    port if port == ingress || port == 5 => &[][..],
                    2 | 4 => &[tagged; 3],
                    _ => &[&untagged; 3],
                };
                assert!(
                    frames.iter().eq(expected.iter().copied()),
                    "{ingress} to {port}"
                );
            }
        }
    }
}

#[test]
fn a_forwarded_frame_is_changed_for_its_port() {
    let mut rig = Rig::new();
    let mut devices = Devices::new(Sent::Now);
    // The station 2:0:0:0:0:1 is on the trunk, then a frame to it comes from an access port.
    let tag = VlanTag::new(TEN, 3);
    rig.handle(2, &[frame(MacAddr::BROADCAST, Some(tag))], &mut devices);
    let station = MacAddr::new([2, 0, 0, 0, 0, 1]);
    let mut to_station = frame(station, None);
    to_station[11] = 2;
    let mut tagged = frame(station, Some(VlanTag::new(TEN, 0)));
    tagged[11] = 2;
    let got = rig.handle(0, &[to_station], &mut devices);
    assert_eq!(got[2], [tagged]);
    assert_eq!(devices.sent.len(), 1);
}
