//! The loop of the thread, and which server gets what.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use tapweave_control::Controller;
use tapweave_control::datapath::HeldLease;
use tapweave_dhcp::{Asker, Server, Settings, Station};
use tapweave_net::{MacAddr, Network, NetworkNo, ParsedFrame, PortNo};
use tapweave_switch::ServicePacket;
use tokio::time::{MissedTickBehavior, interval};
use tracing::trace;

use super::Command;
use super::datagram::{answer, answer_v6, message};
use super::pool::ControllerPool;
use crate::clock::Clock;
use crate::datapath::SwitchDatapath;
use crate::resolver::datagram::is_intact;
use crate::service::Inbox;

/// How late the address of a lease that is over is free, at most. A port that asks frees its own at once.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(5);

/// The servers of all networks.
pub(super) struct Servers {
    networks: BTreeMap<NetworkNo, Known>,
    /// In which network a port is.
    ports: BTreeMap<PortNo, NetworkNo>,
    datapath: Weak<SwitchDatapath>,
    controller: Weak<Controller>,
    clock: Clock,
}

struct Known {
    server: Server,
    gateway: MacAddr,
}

impl Servers {
    pub(super) fn new(
        datapath: Weak<SwitchDatapath>,
        controller: Weak<Controller>,
        clock: Clock,
    ) -> Self {
        Self {
            networks: BTreeMap::new(),
            ports: BTreeMap::new(),
            datapath,
            controller,
            clock,
        }
    }

    /// Serves until nobody can give commands any more.
    pub(super) async fn run(
        mut self,
        Inbox {
            mut commands,
            mut packets,
        }: Inbox<Command>,
    ) {
        let mut expiry = interval(EXPIRY_INTERVAL);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => return,
                },
                packet = packets.recv() => match packet {
                    Some(packet) => {
                        // A port is known before what comes from it is looked at.
                        while let Ok(command) = commands.try_recv() {
                            self.handle_command(command);
                        }
                        self.handle_packet(&packet);
                    }
                    None => return,
                },
                _ = expiry.tick() => self.expire(),
            }
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::SetNetwork { network, settings } => self.set_network(network, *settings),
            Command::Forget { network } => {
                self.networks.remove(&network);
                self.ports.retain(|_, of| *of != network);
            }
            Command::SetStaticLeases { network, leases } => {
                if let Some(known) = self.networks.get_mut(&network) {
                    known.server.set_static_leases(leases);
                }
            }
            Command::SetStation {
                network,
                port,
                station,
                leases,
            } => {
                let now = self.clock.now();
                if let Some(known) = self.networks.get_mut(&network) {
                    known.server.set_station(now, port, station, leases);
                    self.ports.insert(port, network);
                }
            }
            Command::RemoveStation { port } => {
                let _station = self.remove_station(port);
            }
            Command::Leases { network, answer } => {
                let now = self.clock.now();
                let known = self.networks.get(&network);
                let leases = known.map(|known| known.server.leases(now));
                let held = leases.into_iter().flatten().map(|lease| HeldLease {
                    remaining: lease.remaining(now),
                    lease,
                });
                // Nobody may be waiting any more.
                let _ignored = answer.send(held.collect());
            }
            Command::Stats { answer } => {
                let networks = self.networks.iter();
                let stats = networks.map(|(no, known)| (*no, known.server.stats().clone()));
                let _ignored = answer.send(stats.collect());
            }
        }
    }

    fn set_network(&mut self, network: NetworkNo, settings: Settings) {
        let known = Known {
            gateway: settings.mac,
            server: Server::new(settings),
        };
        self.networks.insert(network, known);
    }

    fn remove_station(&mut self, port: PortNo) -> Option<Station> {
        let network = self.ports.remove(&port)?;
        self.networks.get_mut(&network)?.server.remove_station(port)
    }

    fn handle_packet(&mut self, packet: &ServicePacket) {
        let Some(controller) = self.controller.upgrade() else {
            return;
        };
        let Ok(parsed) = ParsedFrame::parse(&packet.frame) else {
            return;
        };
        if packet.offload.gso.is_some() || !is_intact(packet, &parsed) {
            return;
        }
        let known = self.networks.get_mut(&packet.network);
        let (Some(known), Some(message)) = (known, message(&packet.frame, &parsed)) else {
            return;
        };
        let gateway = known.gateway;
        let frame = if parsed.network() == Network::V6 {
            let reply = known.server.handle_v6(message);
            reply.map(|reply| answer_v6(&packet.frame, &parsed, gateway, &reply))
        } else {
            let asker = Asker {
                port: packet.port,
                mac: parsed.src(),
            };
            let mut pool = ControllerPool(&controller);
            let now = self.clock.now();
            let reply = known.server.handle(now, asker, message, &mut pool);
            reply.map(|reply| answer(&packet.frame, &parsed, gateway, &reply?))
        };
        match frame {
            Ok(Some(frame)) => {
                if let Some(datapath) = self.datapath.upgrade() {
                    datapath.answer(packet.port, &frame);
                }
            }
            Ok(None) => {}
            Err(refusal) => {
                trace!(port = %packet.port, reason = refusal.name(), "a message of DHCP is dropped");
            }
        }
    }

    fn expire(&mut self) {
        let Some(controller) = self.controller.upgrade() else {
            return;
        };
        let now = self.clock.now();
        let mut pool = ControllerPool(&controller);
        for known in self.networks.values_mut() {
            known.server.expire(now, &mut pool);
        }
    }
}
