//! The loop of the thread, and which resolver gets what.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tapweave_dns::{
    Answer, ClientNo, Limits, NetworkNames, Question, Resolver, Step, Transport, World, Zone,
};
use tapweave_net::{NetworkNo, ParsedFrame, PortNo, Timestamp};
use tapweave_switch::ServicePacket;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;

use super::command::Command;
use super::config::{Look, ResolverOptions, Servers};
use super::datagram::{WayBack, is_intact, max_answer_len, queries};
use super::streams::{StreamNo, Streams};
use super::upstream;
use crate::clock::Clock;
use crate::datapath::SwitchDatapath;
use crate::service::Inbox;

/// Packets that are dealt with before commands and outcomes have their turn.
const BATCH: usize = 64;

/// Questions of all networks to other servers under way; each takes a descriptor or two.
const ASKED_MAX: usize = 1024;

/// The resolvers of all networks.
pub(super) struct Server {
    networks: BTreeMap<NetworkNo, Network>,
    /// By which addresses the host is reached.
    host: Vec<IpAddr>,
    streams: Streams,
    servers: Servers,
    favourite: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
    outcomes: UnboundedSender<Outcome>,
    outcome_inbox: Option<UnboundedReceiver<Outcome>>,
    datapath: Weak<SwitchDatapath>,
    clock: Clock,
}

struct Network {
    resolver: Resolver<Ticket>,
    names: NetworkNames,
    max_answer_len: u16,
    mtu: u16,
}

/// Who gets an answer.
enum Ticket {
    Datagram(WayBack),
    Stream(StreamNo),
    Control(oneshot::Sender<Vec<u8>>),
}

/// What came of a question to other servers.
struct Outcome {
    network: NetworkNo,
    question: Question,
    answer: Option<Answer>,
}

/// Whom the control side's own questions are counted for: no port has this number.
const CONTROL: ClientNo = ClientNo(u64::MAX);

impl Server {
    pub(super) fn new(
        options: ResolverOptions,
        datapath: Weak<SwitchDatapath>,
        clock: Clock,
    ) -> Self {
        let (outcomes, outcome_inbox) = unbounded_channel();
        Self {
            networks: BTreeMap::new(),
            host: Vec::new(),
            streams: Streams::default(),
            servers: Servers::new(options),
            favourite: Arc::default(),
            permits: Arc::new(Semaphore::new(ASKED_MAX)),
            outcomes,
            outcome_inbox: Some(outcome_inbox),
            datapath,
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
        let Some(mut outcomes) = self.outcome_inbox.take() else {
            return;
        };
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let due = self.streams.due(self.clock.now());
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => return,
                },
                Some(outcome) = outcomes.recv() => self.handle_outcome(&outcome),
                count = packets.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    // A name is known before what its endpoint sends is looked at.
                    while let Ok(command) = commands.try_recv() {
                        self.handle_command(command);
                    }
                    for packet in batch.drain(..) {
                        self.handle_packet(packet);
                    }
                }
                () = sleep(due.unwrap_or(Duration::MAX)), if due.is_some() => {}
            }
            self.tend_streams();
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::SetNames {
                network,
                names,
                mtu,
            } => self.set_names(network, *names, mtu),
            Command::Forget { network } => {
                self.networks.remove(&network);
                self.streams.forget(network);
            }
            Command::SetHost { addresses } => {
                self.host = addresses;
                for network in self.networks.values_mut() {
                    network.resolver.set_zone(zone(&network.names, &self.host));
                }
            }
            Command::Ask {
                network,
                query,
                answer,
            } => {
                let ticket = Ticket::Control(answer);
                self.handle_query(network, CONTROL, Transport::Stream, &query, ticket);
            }
            Command::Stats { answer } => {
                let networks = self.networks.iter();
                let stats = networks.map(|(no, network)| (*no, network.resolver.stats()));
                // Nobody may be waiting any more.
                let _ignored = answer.send(stats.collect());
            }
        }
    }

    fn set_names(&mut self, network: NetworkNo, names: NetworkNames, mtu: u16) {
        let zone = zone(&names, &self.host);
        if let Some(known) = self.networks.get_mut(&network) {
            known.resolver.set_zone(zone);
            known.names = names;
            return;
        }
        let known = Network {
            resolver: Resolver::new(zone, Limits::default()),
            names,
            max_answer_len: max_answer_len(mtu),
            mtu,
        };
        self.networks.insert(network, known);
    }

    fn handle_packet(&mut self, packet: ServicePacket) {
        let Ok(parsed) = ParsedFrame::parse(&packet.frame) else {
            return;
        };
        let network = packet.network;
        let Some(known) = self.networks.get(&network) else {
            return;
        };
        if !is_intact(&packet, &parsed) {
            return;
        }
        if parsed.transport() == Some(tapweave_net::Transport::Tcp) {
            self.streams.handle_segment(
                (network, packet.port),
                &packet.frame,
                &parsed,
                known.mtu,
                self.clock.now(),
            );
            return;
        }
        let transport = Transport::Datagram {
            max: known.max_answer_len,
        };
        let client = client(packet.port);
        for (query, back) in queries(packet, &parsed) {
            self.handle_query(network, client, transport, &query, Ticket::Datagram(back));
        }
    }

    fn handle_query(
        &mut self,
        network: NetworkNo,
        client: ClientNo,
        transport: Transport,
        query: &[u8],
        ticket: Ticket,
    ) {
        let now = self.clock.now();
        self.follow_servers(now);
        let Some(known) = self.networks.get_mut(&network) else {
            return;
        };
        let step = known
            .resolver
            .handle_query(now, client, transport, query, ticket);
        match step {
            Step::Answer(ticket, answer) => self.answer(ticket, &answer),
            Step::Ask(question) => self.ask(network, question),
            Step::Wait | Step::Ignore => {}
        }
    }

    /// Forgets what servers have said that are not the host's any more.
    fn follow_servers(&mut self, now: Timestamp) {
        if self.servers.look(now) == Look::Changed {
            self.favourite = Arc::default();
            for network in self.networks.values_mut() {
                network.resolver.flush();
            }
        }
    }

    /// Asks other servers, in a task of its own.
    fn ask(&mut self, network: NetworkNo, question: Question) {
        let servers = self.servers.current();
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let (Ok(permit), false) = (permit, servers.is_empty()) else {
            self.handle_outcome(&Outcome {
                network,
                question,
                answer: None,
            });
            return;
        };
        let (outcomes, favourite) = (self.outcomes.clone(), Arc::clone(&self.favourite));
        tokio::spawn(async move {
            let answer = upstream::ask(question.clone(), servers, favourite).await;
            drop(permit);
            // At shutdown nobody listens any more.
            let _ignored = outcomes.send(Outcome {
                network,
                question,
                answer,
            });
        });
    }

    fn handle_outcome(&mut self, outcome: &Outcome) {
        let Some(known) = self.networks.get_mut(&outcome.network) else {
            return;
        };
        let (now, answer) = (self.clock.now(), outcome.answer.as_ref());
        let answers = known
            .resolver
            .handle_outcome(now, &outcome.question, answer);
        for (ticket, answer) in answers {
            self.answer(ticket, &answer);
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: &[u8]) {
        match ticket {
            Ticket::Datagram(back) => {
                if let Some(frame) = back.frame(answer) {
                    self.send(back.port, &frame);
                }
            }
            Ticket::Stream(stream) => self.streams.answer(stream, answer),
            // Who asked may have gone.
            Ticket::Control(waiting) => {
                let _ignored = waiting.send(answer.to_vec());
            }
        }
    }

    /// Moves what is in streams, until there is nothing more to do at once.
    fn tend_streams(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        loop {
            let now = self.clock.now();
            let queries = self.streams.poll(now);
            for (port, frame) in self.streams.take_frames() {
                self.send(port, &frame);
            }
            if queries.is_empty() {
                return;
            }
            for query in queries {
                let ticket = Ticket::Stream(query.stream);
                let client = client(query.port);
                let (network, transport) = (query.network, Transport::Stream);
                self.handle_query(network, client, transport, &query.message, ticket);
            }
        }
    }

    fn send(&self, port: PortNo, frame: &[u8]) {
        if let Some(datapath) = self.datapath.upgrade() {
            datapath.answer(port, frame);
        }
    }
}

/// Returns what a network knows where the host has these addresses.
fn zone(names: &NetworkNames, host: &[IpAddr]) -> Zone {
    match names.world {
        World::Closed => Zone::new(names),
        World::Forwarded => Zone::new(&NetworkNames {
            host: host.to_vec(),
            ..names.clone()
        }),
    }
}

fn client(port: PortNo) -> ClientNo {
    ClientNo(port.to_u32().into())
}
