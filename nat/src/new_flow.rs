//! How a flow comes into being: out of a sandbox, from outside, or from a sandbox to a sandbox.
//!
//! Each kind is made the same way: find both ends on both sides, take what shares that needs, and insert
//! one record. Whatever fails gives the shares back. If another worker inserts the same flow first, this
//! one gives its shares back too and follows the other's record.
//!
//! A datagram of a stranger to a mapping makes no flow: it is translated by the mapping alone. The
//! sandbox's answer makes one, if it answers. So strangers, who can forge any number of addresses, can
//! neither fill the table nor keep a mapping alive (RFC 4787 §4.3). A SYN of a stranger does make one, since
//! the connection has to be followed; it does not stand in the way of others before it is answered.

use tapweave_net::IpProtocol;

use crate::flow::{Beginning, host_of};
use crate::label::Label;
use crate::mapping::{External, Internal};
use crate::nat::{Nat, Pass};
use crate::packet::{FlowPacket, L4, QueryKind};
use crate::table::{Direction, Endpoint, Entry, Insert, Realm, Tuple};
use crate::{FlowKind, NatDrop};

/// Attempts to insert a flow against one that is in its way.
const RETRIES: u32 = 2;

/// The first packet of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstPacket<'a> {
    /// Its key.
    pub(crate) tuple: Tuple,
    pub(crate) packet: &'a FlowPacket,
    /// Bytes from the IP header on.
    pub(crate) len: u64,
}

/// The sandbox's end that an external endpoint leads to.
#[derive(Clone, Copy, Debug)]
struct Server {
    internal: Internal,
    /// Whether there is a share in a mapping to give back.
    has_share: bool,
}

impl Nat {
    /// Makes the flow of a packet that a sandbox sent to the outside, and returns its other key.
    #[cold]
    pub(crate) fn begin_outward(
        &self,
        pass: &Pass<'_>,
        first: &FirstPacket<'_>,
    ) -> Result<Tuple, NatDrop> {
        let beginning = self.beginning(first)?;
        let original = first.tuple;
        let inserted = self.with_opener(pass, first, |external, label| {
            let reply = Tuple {
                realm: Realm::OUTSIDE,
                protocol: original.protocol,
                src: original.dst,
                dst: external,
            };
            let label = Label::of(FlowKind::Masqueraded).and(label);
            self.insert_flow(pass, first, &beginning, label, reply)
        });
        Ok(inserted?.reply)
    }

    /// Makes the flow of a packet that a sandbox sent to an external address (RFC 4787 REQ-9), and returns
    /// its other key; `None` for a query, which is for the external address itself.
    #[cold]
    pub(crate) fn begin_hairpin(
        &self,
        pass: &Pass<'_>,
        first: &FirstPacket<'_>,
    ) -> Result<Option<Tuple>, NatDrop> {
        if first.is_query() {
            return Ok(None);
        }
        let beginning = self.beginning(first)?;
        let original = first.tuple;
        let (protocol, external) = (original.protocol, original.dst);
        let server = Server::published_at(pass, protocol, external)
            .or_else(|| self.mapped_at(pass, protocol, external))
            .ok_or(NatDrop::NoMapping)?;
        let inserted = self.with_opener(pass, first, |external, label| {
            let reply = Tuple {
                realm: server.internal.realm,
                protocol: original.protocol,
                src: server.internal.endpoint,
                dst: external,
            };
            if reply == original {
                // A sandbox that sends to its own external end from behind it: both directions are
                // one, there is nothing to remember, and nothing holds the shares.
                return Ok(Inserted {
                    reply,
                    holds_shares: false,
                });
            }
            let label = Label::of(FlowKind::Hairpin)
                .and(label)
                .with_server_mapping(server.has_share);
            self.insert_flow(pass, first, &beginning, label, reply)
        });
        self.settle(&server, external, inserted).map(Some)
    }

    /// Makes the flow of a packet that came from outside, to a published port or to a mapping, and returns
    /// its other key; `None` when nothing is there that would take it.
    #[cold]
    pub(crate) fn begin_inward(
        &self,
        pass: &Pass<'_>,
        first: &FirstPacket<'_>,
    ) -> Result<Option<Tuple>, NatDrop> {
        if first.is_query() {
            return Ok(None);
        }
        let original = first.tuple;
        let (protocol, external) = (original.protocol, original.dst);
        let published = Server::published_at(pass, protocol, external);
        if published.is_none() && first.packet.l4 == L4::Udp {
            let internal = self.pass_stranger(pass.now, protocol, external, first.len);
            return Ok(internal.map(|internal| Tuple {
                realm: internal.realm,
                protocol,
                src: internal.endpoint,
                dst: original.src,
            }));
        }
        let Some(server) = published.or_else(|| self.mapped_at(pass, protocol, external)) else {
            return Ok(None);
        };
        let kind = if server.has_share {
            FlowKind::Admitted
        } else {
            FlowKind::Published
        };
        let beginning = match first.packet.l4 {
            // To a mapping, what is no SYN has to belong to a flow that is known, or that the sandbox's
            // next segment makes known.
            L4::Tcp(segment) if server.has_share && !segment.is_opening() => {
                Err(NatDrop::TcpNoFlow)
            }
            L4::Tcp(_) | L4::Udp | L4::Query(_) => self.beginning(first),
        };
        let reply = Tuple {
            realm: server.internal.realm,
            protocol,
            src: server.internal.endpoint,
            dst: original.src,
        };
        let label = Label::of(kind).with_server_mapping(server.has_share);
        let inserted =
            beginning.and_then(|beginning| self.insert_flow(pass, first, &beginning, label, reply));
        self.settle(&server, external, inserted).map(Some)
    }

    fn beginning(&self, first: &FirstPacket<'_>) -> Result<Beginning, NatDrop> {
        if let L4::Query(QueryKind::Reply) = first.packet.l4 {
            return Err(NatDrop::NoMapping);
        }
        Beginning::of(&first.packet.l4, &self.config.timeouts)
    }

    /// Counts the flow with its sandbox and takes the external end of its source, lets `insert` make the
    /// record, and gives both back unless the record holds them.
    fn with_opener(
        &self,
        pass: &Pass<'_>,
        first: &FirstPacket<'_>,
        insert: impl FnOnce(Endpoint, Label) -> Result<Inserted, NatDrop>,
    ) -> Result<Inserted, NatDrop> {
        let original = first.tuple;
        let host = host_of(&original);
        let is_counted = self.count_flow(pass, &host)?;
        let internal = Internal::source_of(&original);
        let external = self.take_external(pass, &internal);
        let label = |external: External| {
            Label::of(FlowKind::Mapping)
                .with_opener_mapping(external.has_share)
                .with_counted(is_counted)
        };
        let inserted = external.and_then(|external| insert(external.endpoint, label(external)));
        if !inserted.is_ok_and(|inserted| inserted.holds_shares) {
            if let Ok(External {
                endpoint,
                has_share: true,
            }) = external
            {
                self.give_back_mapping(&internal, endpoint);
            }
            if is_counted {
                self.uncount_flow(&host);
            }
        }
        inserted
    }

    /// Returns what a mapping leads to, with a share in it.
    fn mapped_at(
        &self,
        pass: &Pass<'_>,
        protocol: IpProtocol,
        external: Endpoint,
    ) -> Option<Server> {
        let internal = self.take_internal(pass.now, protocol, external)?;
        Some(Server {
            internal,
            has_share: true,
        })
    }

    /// Gives the server's share back unless a record holds it, and returns the flow's other key.
    fn settle(
        &self,
        server: &Server,
        external: Endpoint,
        inserted: Result<Inserted, NatDrop>,
    ) -> Result<Tuple, NatDrop> {
        if server.has_share && !inserted.is_ok_and(|inserted| inserted.holds_shares) {
            self.give_back_mapping(&server.internal, external);
        }
        Ok(inserted?.reply)
    }

    /// Inserts the record of a flow, or follows that of another worker.
    fn insert_flow(
        &self,
        pass: &Pass<'_>,
        first: &FirstPacket<'_>,
        beginning: &Beginning,
        label: Label,
        reply: Tuple,
    ) -> Result<Inserted, NatDrop> {
        let entry = beginning.entry(pass.now, label, [first.tuple, reply], first.len);
        let mut inserted = self.insert(pass, &entry);
        for _ in 0..RETRIES {
            if !matches!(inserted, Insert::ReplyTaken) || !self.clear_orphan(pass, &entry) {
                break;
            }
            inserted = self.insert(pass, &entry);
        }
        match inserted {
            Insert::Added(_) => {
                self.counters.shard(pass.worker).flows_added.add_one();
                Ok(Inserted {
                    reply,
                    holds_shares: true,
                })
            }
            Insert::Exists(record, direction) => {
                let reply = record.tuple(direction.opposite());
                let reply = reply.ok_or(NatDrop::Contended)?;
                self.follow(pass, record, direction, first.packet, first.len)?;
                Ok(Inserted {
                    reply,
                    holds_shares: false,
                })
            }
            Insert::ReplyTaken | Insert::Busy => Err(NatDrop::Contended),
            Insert::Full => Err(NatDrop::TableFull),
        }
    }

    /// Makes way for a flow whose reply key is taken, and tells whether to try again. Another flow that has
    /// it and is not established is removed: it was left behind by a mapping that had to give way, or the
    /// client of a published port uses another one that leads to the same place. The same flow may also
    /// have been inserted by another worker just now.
    fn clear_orphan(&self, pass: &Pass<'_>, entry: &Entry) -> bool {
        let Some((record, direction)) = self.table.find(&entry.reply, pass.now) else {
            return true;
        };
        match record.tuple(Direction::Original) {
            Some(original) if original == entry.original => return true,
            Some(_) if direction == Direction::Original => return false,
            Some(_) | None => {}
        }
        let Some(gone) = record.remove_if(|state| state & Entry::ASSURED == 0) else {
            return false;
        };
        self.forget(&gone);
        true
    }
}

/// A record that was inserted, or that another worker had inserted.
#[derive(Clone, Copy, Debug)]
struct Inserted {
    /// The flow's key in the other direction.
    reply: Tuple,
    /// Whether the record holds the shares that were taken for it.
    holds_shares: bool,
}

impl Server {
    /// Returns what a published port leads to.
    fn published_at(pass: &Pass<'_>, protocol: IpProtocol, external: Endpoint) -> Option<Self> {
        let internal = Internal::published_at(pass, protocol, external)?;
        Some(Self {
            internal,
            has_share: false,
        })
    }
}

impl FirstPacket<'_> {
    /// Tells whether it is a query of ICMP, or an answer to one.
    const fn is_query(&self) -> bool {
        matches!(self.packet.l4, L4::Query(_))
    }
}
