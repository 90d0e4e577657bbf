//! The translation, as the gateway calls it.

use tapweave_net::{Frame, NetworkNo, ParsedFrame, Timestamp};

use crate::counters::Counters;
use crate::{FlowEntry, FlowFilter, In, Masquerade, NatConfig, NatDrop, NatRules, NatStats, Out};

/// What every packet of a batch has in common.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The time.
    pub now: Timestamp,
    /// The worker that translates, below [`NatConfig::worker_count`]. No two threads pass the same
    /// number at the same time.
    pub worker: usize,
    /// The rules that new flows are made by.
    pub rules: &'a NatRules,
}

/// The flows and mappings of one switch, and the translation by them.
///
/// All methods take `&self`: any number of workers translate at the same time, and the control side
/// lists and flushes meanwhile. Nothing but the listing allocates, and nothing waits.
#[derive(Debug)]
pub struct Nat {
    config: NatConfig,
    counters: Counters,
}

impl Nat {
    /// Returns a NAT without flows.
    pub fn new(config: NatConfig) -> Self {
        Self {
            config,
            counters: Counters::new(config.worker_count),
        }
    }

    /// Returns how it was made.
    pub const fn config(&self) -> &NatConfig {
        &self.config
    }

    /// Translates a packet that a sandbox of `network` sent and that leaves the network, in place.
    ///
    /// The frame was parsed as `parsed`; only its IP packet and L4 header are read and changed. Fragments
    /// that waited for this packet are translated and passed to `emit` before it returns.
    ///
    /// # Errors
    ///
    /// Why the packet must be dropped. The drop is counted here, and the frame is unchanged.
    pub fn translate_out(
        &self,
        pass: &Pass<'_>,
        network: NetworkNo,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        emit: &mut dyn FnMut(&mut Frame<'_>, Out),
    ) -> Result<Out, NatDrop> {
        let _ = (frame, parsed, emit);
        match pass.rules.masquerade(network) {
            Some(Masquerade::No) => Ok(Out::Untranslated),
            Some(Masquerade::Yes) | None => Err(self.drop(pass, NatDrop::NoExternalAddress)),
        }
    }

    /// Translates a packet that came from an uplink, in place.
    ///
    /// The frame was parsed as `parsed`; only its IP packet and L4 header are read and changed. Fragments
    /// that waited for this packet are translated and passed to `emit` before it returns.
    ///
    /// # Errors
    ///
    /// Why the packet must be dropped. The drop is counted here, and the frame is unchanged.
    pub fn translate_in(
        &self,
        pass: &Pass<'_>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        emit: &mut dyn FnMut(&mut Frame<'_>, In),
    ) -> Result<In, NatDrop> {
        let _ = (frame, parsed, emit);
        Err(self.drop(pass, NatDrop::NoMapping))
    }

    /// Removes up to `budget` records whose time is over; tells how many. To be called about once a
    /// second; expired flows are not found in between either.
    pub fn poll_expiry(&self, now: Timestamp, budget: usize) -> usize {
        let _ = (now, budget);
        0
    }

    /// Returns the flows and mappings that fit `filter`, in no particular order.
    pub fn flows(&self, now: Timestamp, filter: &FlowFilter) -> Vec<FlowEntry> {
        let _ = (now, filter);
        Vec::new()
    }

    /// Removes the flows that fit `filter`, and the mappings that nothing uses then; tells how many
    /// flows it were.
    pub fn flush(&self, filter: &FlowFilter) -> usize {
        let _ = filter;
        0
    }

    /// Removes what `rules` would not make any more: flows and mappings of an external address that is
    /// gone, mappings of ports that are published or reserved now, flows of published ports that lead
    /// elsewhere now. To be called after the rules were changed; tells how many flows it were.
    pub fn retire(&self, rules: &NatRules) -> usize {
        let _ = rules;
        0
    }

    /// Returns what was counted, summed over the workers.
    pub fn stats(&self) -> NatStats {
        self.counters.total()
    }

    fn drop(&self, pass: &Pass<'_>, reason: NatDrop) -> NatDrop {
        self.counters.shard(pass.worker).count_drop(reason);
        reason
    }
}
