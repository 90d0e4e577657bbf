//! Mappings: which external port stands for a sandbox's port.
//!
//! # Theory of operation
//!
//! A mapping is a record of the table whose remote ends are wildcards. Its original key is the sandbox's
//! endpoint, so that every flow from there finds it, wherever it goes (RFC 4787 REQ-1, RFC 5382
//! REQ-1); its reply key claims the external port, so no two mappings can have one (RFC 4787 REQ-3), and
//! finds the sandbox for packets of strangers (RFC 4787 REQ-8: endpoint-independent filtering).
//!
//! - A mapping lives as long as flows have a [share](crate::share) in it, and not longer: their timers
//!   are its timer (RFC 4787 §4.3, RFC 7857 §11). A flow that has expired holds its share until it is
//!   swept. Packets of strangers, which are no flow, do not prolong a mapping (RFC 7857 §7).
//! - *Address pooling* is paired (RFC 4787 REQ-2): which external address stands for a sandbox's address
//!   follows from both by rendezvous hashing. It stays the same without being remembered, and when the
//!   external addresses change, only sandboxes that had an address which is gone, or get one that is
//!   new, are moved. When the ports of that address are exhausted, other addresses do not help out
//!   (RFC 7857 §4 leaves the choice).
//! - A port that is *published* stands for the sandbox's port without any record: traffic that the server
//!   opens itself from there has the same external endpoint as its answers.
//! - When no port is free among those that were tried, the oldest mapping among their holders gives way,
//!   if none of its flows is established. This shortens the timers that the RFCs demand, so it
//!   happens only when the alternative is to refuse a new flow. Otherwise one sandbox that sends SYNs
//!   from all of its ports would keep everybody from opening connections for four minutes.
//! - After a search has failed, the next ones are short for a while, so that a sandbox cannot buy
//!   hundreds of lookups with one packet.

use core::hash::Hash;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use tapweave_net::{IpProtocol, Timestamp};

use crate::keyed::keyed_hash;
use crate::label::Label;
use crate::nat::{Nat, Pass};
use crate::table::{Endpoint, Entry, Insert, Realm, Record, Tuple};
use crate::{NatDrop, NatRules, ports, share};

/// Attempts to find or make a mapping while other workers do the same.
const RETRIES: u32 = 4;

/// How old a mapping is at least that gives way because no port is free. Longer than a handshake takes.
const YIELDS_AFTER: Duration = Duration::from_secs(2);

/// How long searches are short after one that failed.
const PRESSURE: Duration = Duration::from_millis(100);

/// Ports that a short search tries.
const SHORT: usize = 8;

/// The external end of a sandbox's port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct External {
    pub(crate) endpoint: Endpoint,
    /// Whether the caller has a share in a mapping now, which its flow has to hold; a published port has
    /// no mapping.
    pub(crate) has_share: bool,
}

/// The sandbox's end of a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Internal {
    pub(crate) realm: Realm,
    pub(crate) protocol: IpProtocol,
    pub(crate) endpoint: Endpoint,
}

impl Internal {
    /// Returns the end that packets with a key come from.
    pub(crate) const fn source_of(tuple: &Tuple) -> Self {
        Self {
            realm: tuple.realm,
            protocol: tuple.protocol,
            endpoint: tuple.src,
        }
    }

    /// Returns the end that a published port leads to.
    pub(crate) fn published_at(
        pass: &Pass<'_>,
        protocol: IpProtocol,
        external: Endpoint,
    ) -> Option<Self> {
        let (network, address, port) =
            pass.rules
                .published_at(protocol, external.ip(), external.port())?;
        Some(Self {
            realm: Realm::of(network),
            protocol,
            endpoint: Endpoint::new(address, port),
        })
    }

    /// Returns the original key of the mapping.
    fn key(&self) -> Tuple {
        Tuple {
            realm: self.realm,
            protocol: self.protocol,
            src: self.endpoint,
            dst: any_like(self.endpoint),
        }
    }
}

/// Returns the reply key of the mapping that has an external endpoint.
fn external_key(protocol: IpProtocol, external: Endpoint) -> Tuple {
    Tuple {
        realm: Realm::OUTSIDE,
        protocol,
        src: any_like(external),
        dst: external,
    }
}

fn any_like(endpoint: Endpoint) -> Endpoint {
    Endpoint::any_like(endpoint.ip())
}

/// When searches for ports failed last, by external address and protocol, in nanoseconds. Those that
/// share a place search less thoroughly together.
#[derive(Debug, Default)]
pub(crate) struct Pressure([AtomicU64; 8]);

impl Pressure {
    fn of(&self, seed: u64, place: impl Hash) -> &AtomicU64 {
        let [index, ..] = keyed_hash(seed, place).to_le_bytes();
        &self.0[usize::from(index) % self.0.len()]
    }
}

impl Nat {
    /// Returns the external end of a sandbox's port, and makes it if there is none.
    pub(crate) fn take_external(
        &self,
        pass: &Pass<'_>,
        internal: &Internal,
    ) -> Result<External, NatDrop> {
        let Internal {
            protocol, endpoint, ..
        } = *internal;
        let address = endpoint.ip();
        let published = internal.realm.network().and_then(|network| {
            pass.rules
                .published_as(protocol, network, address, endpoint.port())
        });
        let pooled = || {
            self.pooled_address(pass.rules, internal)
                .ok_or(NatDrop::NoExternalAddress)
        };
        if let Some((host_addr, port)) = published {
            let address = host_addr.map_or_else(pooled, Ok)?;
            return Ok(External {
                endpoint: Endpoint::new(address, port),
                has_share: false,
            });
        }
        for _ in 0..RETRIES {
            let found = self.take_share(pass.now, &internal.key());
            let endpoint = match found {
                Some((_, external)) => Some(external),
                None => self.add_mapping(pass, internal, pooled()?)?,
            };
            if let Some(endpoint) = endpoint {
                return Ok(External {
                    endpoint,
                    has_share: true,
                });
            }
        }
        Err(NatDrop::Contended)
    }

    /// Returns the sandbox's end of an external port, with a share in their mapping.
    pub(crate) fn take_internal(
        &self,
        now: Timestamp,
        protocol: IpProtocol,
        external: Endpoint,
    ) -> Option<Internal> {
        let (internal, _) = self.take_share(now, &external_key(protocol, external))?;
        Some(internal)
    }

    /// Returns the sandbox's end of an external port, and counts a packet of `len` bytes to it that
    /// belongs to no flow.
    pub(crate) fn pass_stranger(
        &self,
        now: Timestamp,
        protocol: IpProtocol,
        external: Endpoint,
        len: u64,
    ) -> Option<Internal> {
        let (record, direction) = self.table.find(&external_key(protocol, external), now)?;
        let (internal, _) = ends(&record)?;
        record.count(direction, 1, len);
        Some(internal)
    }

    /// Returns the sandbox's end of an external port.
    pub(crate) fn internal_of(
        &self,
        now: Timestamp,
        protocol: IpProtocol,
        external: Endpoint,
    ) -> Option<Internal> {
        let (record, _) = self.table.find(&external_key(protocol, external), now)?;
        ends(&record).map(|(internal, _)| internal)
    }

    /// Returns the external end of a sandbox's port.
    pub(crate) fn external_of(&self, now: Timestamp, internal: &Internal) -> Option<Endpoint> {
        let (record, _) = self.table.find(&internal.key(), now)?;
        ends(&record).map(|(_, external)| external)
    }

    /// Gives a share in a mapping back, and removes it if that was the last.
    pub(crate) fn give_back_mapping(&self, internal: &Internal, external: Endpoint) {
        let Some(mut record) = self.mapping_of(internal, external) else {
            return;
        };
        if share::give_back(&mut record) {
            record.remove_if(|state| share::count(state) == 0);
        }
    }

    /// Notes that a flow of a mapping is established, so that the mapping does not give way.
    pub(crate) fn assure_mapping(&self, internal: &Internal, external: Endpoint) {
        if let Some(mut record) = self.mapping_of(internal, external) {
            // A mapping that is gone needs no assurance.
            let _ = record.update(|state| Some(state | Entry::ASSURED));
        }
    }

    /// Notes that a flow of a mapping has ended; without another flow, the mapping may give way.
    pub(crate) fn unassure_mapping(&self, internal: &Internal, external: Endpoint) {
        if let Some(mut record) = self.mapping_of(internal, external) {
            let _ = record
                .update(|state| (share::count(state) == 1).then_some(state & !Entry::ASSURED));
        }
    }

    /// Inserts the mapping that stood between two ends before a restart, unless it is there, and takes a
    /// share in it; tells whether that succeeded.
    pub(crate) fn restore_share(
        &self,
        now: Timestamp,
        internal: &Internal,
        external: Endpoint,
    ) -> bool {
        if let Some((_, found)) = self.take_share(now, &internal.key()) {
            if found != external {
                self.give_back_mapping(internal, found);
            }
            return found == external;
        }
        let mut entry = new_entry(internal, external, now);
        entry.state |= Entry::ASSURED;
        let inserted = self.table.insert(now, &entry, |gone| self.forget(gone));
        matches!(inserted, Insert::Added(_))
    }

    /// Returns the external address that stands for a sandbox's address.
    fn pooled_address(&self, rules: &NatRules, internal: &Internal) -> Option<IpAddr> {
        let address = internal.endpoint.ip();
        let family = |other: &&IpAddr| other.is_ipv4() == address.is_ipv4();
        let place = (internal.realm, address);
        rules
            .external()
            .iter()
            .filter(family)
            .copied()
            .max_by_key(|candidate| keyed_hash(self.config.seed, (place, candidate)))
    }

    /// Finds a mapping by either key and takes a share in it.
    fn take_share(&self, now: Timestamp, key: &Tuple) -> Option<(Internal, Endpoint)> {
        let (mut record, _) = self.table.find(key, now)?;
        let found = ends(&record)?;
        share::take(&mut record, u32::MAX).ok()?;
        Some(found)
    }

    /// Makes a mapping with one share; nothing when another worker has just made one.
    #[cold]
    fn add_mapping(
        &self,
        pass: &Pass<'_>,
        internal: &Internal,
        address: IpAddr,
    ) -> Result<Option<Endpoint>, NatDrop> {
        let now = pass.now;
        let pressure = self
            .pressure
            .of(self.config.seed, (internal.protocol, address));
        let failed_at = Timestamp::from_nanos(pressure.load(Ordering::Relaxed));
        let is_pressed = failed_at != Timestamp::ZERO && now.since(failed_at) < PRESSURE;
        let attempts = if is_pressed { SHORT } else { usize::MAX };
        let random = keyed_hash(self.config.seed, (internal, now.as_nanos()));
        let mut oldest: Option<(Record<'_>, Timestamp)> = None;
        let candidates = ports::candidates(pass.rules.ports(), internal.endpoint.port(), random)
            .filter(|&port| pass.rules.may_map(internal.protocol, port))
            .take(attempts);
        for port in candidates {
            let external = Endpoint::new(address, port);
            if let Some((holder, _)) = self
                .table
                .find(&external_key(internal.protocol, external), now)
            {
                // A mapping's time of expiry is when it was made.
                let made = holder.expires();
                let may_yield = holder.state() & Entry::ASSURED == 0
                    && now.since(made) >= YIELDS_AFTER
                    && oldest.is_none_or(|(_, other)| made < other);
                if may_yield {
                    oldest = Some((holder, made));
                }
                continue;
            }
            match self.try_mapping(pass, internal, external)? {
                Attempt::Made => return Ok(Some(external)),
                Attempt::Late => return Ok(None),
                Attempt::Taken => {}
            }
        }
        if let Some((holder, _)) = oldest
            && let Some(entry) = holder.remove_if(|state| state & Entry::ASSURED == 0)
        {
            self.counters.shard(pass.worker).mappings_yielded.add_one();
            let external = entry.reply.dst;
            match self.try_mapping(pass, internal, external)? {
                Attempt::Made => return Ok(Some(external)),
                Attempt::Late => return Ok(None),
                Attempt::Taken => {}
            }
        }
        // A short search says little; the next long one is due when it is due.
        if !is_pressed {
            pressure.store(now.as_nanos(), Ordering::Relaxed);
        }
        Err(NatDrop::PortsExhausted)
    }

    /// Tries to make a mapping with this external end.
    fn try_mapping(
        &self,
        pass: &Pass<'_>,
        internal: &Internal,
        external: Endpoint,
    ) -> Result<Attempt, NatDrop> {
        let entry = new_entry(internal, external, pass.now);
        match self.insert(pass, &entry) {
            Insert::Added(_) => {
                self.counters.shard(pass.worker).mappings_added.add_one();
                Ok(Attempt::Made)
            }
            Insert::Exists(..) => Ok(Attempt::Late),
            Insert::ReplyTaken => Ok(Attempt::Taken),
            Insert::Full => Err(NatDrop::TableFull),
            Insert::Busy => Err(NatDrop::Contended),
        }
    }

    /// Returns the mapping between two ends.
    fn mapping_of(&self, internal: &Internal, external: Endpoint) -> Option<Record<'_>> {
        // At the beginning of time nothing has expired: a mapping whose share is given back is found.
        let (record, _) = self.table.find(&internal.key(), Timestamp::ZERO)?;
        let (_, found) = ends(&record)?;
        (found == external).then_some(record)
    }
}

/// What became of an attempt to make a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Attempt {
    Made,
    /// Another mapping has the external end.
    Taken,
    /// The sandbox's port has a mapping now, made by another worker.
    Late,
}

fn new_entry(internal: &Internal, external: Endpoint, now: Timestamp) -> Entry {
    let reply = external_key(internal.protocol, external);
    Entry {
        label: Label::MAPPING.to_u32(),
        state: share::ONE,
        ..Entry::new(internal.key(), reply, now)
    }
}

/// Returns the ends of a mapping.
fn ends(record: &Record<'_>) -> Option<(Internal, Endpoint)> {
    use crate::table::Direction::{Original, Reply};
    let original = record.tuple(Original)?;
    let reply = record.tuple(Reply)?;
    Some((Internal::source_of(&original), reply.dst))
}
