//! The translation, as the gateway calls it.

use core::fmt;
use core::ops::Range;
use core::sync::atomic::AtomicBool;

use tapweave_net::{Frame, NetworkNo, ParsedFrame, Timestamp};

use crate::counters::Counters;
use crate::fragments::{FragmentStats, Fragments};
use crate::identification::Identifications;
use crate::mapping::Pressure;
use crate::table::{Entry, Hint, Insert, PairTable, Realm};
use crate::translate::{Way, tuple_seen};
use crate::{In, NatConfig, NatDrop, NatRules, NatStats, Out};

/// What is known before a packet is looked at; all of it but the hint is the same for a batch.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The time.
    pub now: Timestamp,
    /// The worker that translates, below [`NatConfig::worker_count`]. No two threads pass the same
    /// number at the same time.
    pub worker: usize,
    /// The rules that new flows are made by.
    pub rules: &'a NatRules,
    /// What [`Nat::read_ahead`] has found for the packet.
    pub hint: Hint,
}

/// The flows and mappings of one switch, and the translation by them.
///
/// All methods take `&self`: any number of workers translate at the same time, and the control side
/// lists and flushes meanwhile. Nothing waits, and nothing on the packet path allocates but the copy of a
/// fragment that has to be held.
pub struct Nat {
    pub(crate) config: NatConfig,
    pub(crate) table: PairTable,
    pub(crate) counters: Counters,
    pub(crate) pressure: Pressure,
    pub(crate) fragments: Fragments<Way>,
    pub(crate) identifications: Identifications,
    /// Whether flows of an earlier process are still to come: see `carrying.rs`.
    pub(crate) is_restoring: AtomicBool,
}

impl Nat {
    /// Returns a NAT without flows.
    pub fn new(config: NatConfig) -> Self {
        Self {
            config,
            table: PairTable::new(config.flow_limit, config.seed),
            counters: Counters::new(config.worker_count),
            pressure: Pressure::default(),
            fragments: Fragments::new(config.seed, config.fragments),
            identifications: Identifications::new(config.seed),
            is_restoring: AtomicBool::new(false),
        }
    }

    /// Returns how it was made.
    pub const fn config(&self) -> &NatConfig {
        &self.config
    }

    /// Returns how many records the table holds: flows, mappings, and one for each sandbox that has
    /// limits. Expired ones count until they are swept.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Tells whether there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns the addresses of the table's memory: see [`PairTable::memory`].
    pub fn memory(&self) -> [Range<usize>; 2] {
        self.table.memory()
    }

    /// Brings what is known of the flows of packets of TCP and UDP that come from `realm` into the
    /// processor's cache: for a batch, before its first packet is translated. Adds to `hints` what is found for
    /// each of them, in their order. Changes nothing else.
    #[inline]
    pub fn read_ahead<'p>(
        &self,
        realm: Realm,
        packets: impl Iterator<Item = Option<&'p ParsedFrame>>,
        hints: &mut Vec<Hint>,
    ) {
        let keys = packets.map(|parsed| tuple_seen(realm, parsed?));
        self.table.read_ahead(keys, hints);
    }

    /// Translates a packet that a sandbox of `network` sent and that leaves the network, in place.
    ///
    /// The frame was parsed as `parsed`; only its IP packet and L4 header are read and changed. Fragments
    /// that waited for this packet are translated and passed to `emit` before it returns.
    ///
    /// # Errors
    ///
    /// Why the packet must be dropped. The drop is counted here, and the frame is unchanged.
    #[inline]
    pub fn translate_out(
        &self,
        pass: &Pass<'_>,
        network: NetworkNo,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        emit: &mut dyn FnMut(&mut Frame<'_>, Out),
    ) -> Result<Out, NatDrop> {
        let verdict = self.out(pass, network, frame, parsed, emit);
        let counters = self.counters.shard(pass.worker);
        match verdict {
            Ok(Out::ToUplink | Out::Hairpin { .. }) => counters.translated.add_one(),
            Ok(Out::Untranslated | Out::Held) => {}
            Ok(Out::Local) => self.lead_nowhere(pass, Realm::of(network), frame, parsed),
            Err(drop) => {
                counters.count_drop(drop);
                self.lead_nowhere(pass, Realm::of(network), frame, parsed);
            }
        }
        verdict
    }

    /// Translates a packet that came from an uplink, in place.
    ///
    /// The frame was parsed as `parsed`; only its IP packet and L4 header are read and changed. Fragments
    /// that waited for this packet are translated and passed to `emit` before it returns.
    ///
    /// # Errors
    ///
    /// Why the packet must be dropped. The drop is counted here, and the frame is unchanged.
    #[inline]
    pub fn translate_in(
        &self,
        pass: &Pass<'_>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        emit: &mut dyn FnMut(&mut Frame<'_>, In),
    ) -> Result<In, NatDrop> {
        let verdict = self.inward(pass, frame, parsed, emit);
        let counters = self.counters.shard(pass.worker);
        match verdict {
            Ok(In::To { .. }) => counters.translated.add_one(),
            Ok(In::Untranslated | In::Held) => {}
            Ok(In::Local) => self.lead_nowhere(pass, Realm::OUTSIDE, frame, parsed),
            Err(drop) => {
                counters.count_drop(drop);
                self.lead_nowhere(pass, Realm::OUTSIDE, frame, parsed);
            }
        }
        verdict
    }

    /// Returns what was counted, summed over the workers.
    pub fn stats(&self) -> NatStats {
        self.counters.total()
    }

    /// Returns what was counted of fragments.
    pub fn fragment_stats(&self) -> FragmentStats {
        self.fragments.stats()
    }

    /// Inserts a record, and gives back what those had a share in that are removed for it.
    pub(crate) fn insert(&self, pass: &Pass<'_>, entry: &Entry) -> Insert<'_> {
        self.table.insert(pass.now, entry, |gone| {
            if gone.expires > pass.now {
                self.counters.shard(pass.worker).flows_evicted.add_one();
            }
            self.forget(gone);
        })
    }
}

impl fmt::Debug for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nat")
            .field("config", &self.config)
            .field("table", &self.table)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
