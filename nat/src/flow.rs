//! Flows: two ends that talk, and what is known of their talk.
//!
//! # Theory of operation
//!
//! A flow is a record with both ends in both of its keys. The two keys are all that translation needs: a
//! packet that has one of them gets the ends of the other, turned around, and goes to the other's realm.
//! Whether that changes the source, the destination or both is not looked at.
//!
//! What each protocol has in the record's state and words:
//!
//! - *TCP*: a [`Connection`], which says how long the flow lives.
//! - *UDP and ICMP*: whether the other end has answered, and whether the opener has sent again after that.
//!   UDP lives longer then, and counts as established: one query and its answer do not, else whoever
//!   can have a server answer to forged addresses would fill the table with flows that may not give way.
//!   Packets of both directions prolong a flow (RFC 4787 REQ-6). ICMP errors are no packets of it:
//!   they neither prolong nor end anything (RFC 4787 REQ-12, RFC 5382 REQ-10, RFC 5508 REQ-6).
//!
//! Several workers may see packets of one flow at once. State and words change by comparison with what
//! was read; who loses looks again. Of numbers that only grow, the later one stays.

use core::time::Duration;

use tapweave_net::{IpProtocol, Timestamp};

use crate::host::Host;
use crate::label::Label;
use crate::mapping::Internal;
use crate::nat::{Nat, Pass};
use crate::packet::{FlowPacket, L4, TcpSegment};
use crate::table::{Direction, Endpoint, Entry, Record, Tuple};
use crate::tcp::{Connection, Effect, Packed, later_of};
use crate::{FlowState, NatDrop, TcpState, Timeouts};

/// Bit of the state of a UDP or ICMP flow: the other end has answered.
const ANSWERED: u32 = 1;
/// Bit of the state of a UDP flow: the opener has sent again after an answer.
const IN_USE: u32 = 1 << 1;

/// Attempts to write a word that other workers write too.
const RETRIES: u32 = 4;

/// Parts of a flow's time by which its end is written to a journal.
const JOURNALED_PARTS: u128 = 8;

/// What a flow's first packet makes of its record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    state: u32,
    words: [u64; 3],
    timeout: Duration,
}

impl Beginning {
    /// Returns what the first packet of a flow says.
    ///
    /// # Errors
    ///
    /// [`NatDrop::TcpNoFlow`] for a segment that opens nothing.
    pub(crate) fn of(l4: &L4, timeouts: &Timeouts) -> Result<Self, NatDrop> {
        let (packed, timeout) = match l4 {
            L4::Tcp(segment) => {
                let connection = Connection::open(segment).ok_or(NatDrop::TcpNoFlow)?;
                let timeout = timeouts.of_tcp(connection.state);
                return Ok(Self {
                    state: connection.pack().state,
                    words: connection.pack().words,
                    timeout,
                });
            }
            L4::Udp => (0, timeouts.udp_brief),
            L4::Query(_) => (0, timeouts.icmp_query),
        };
        Ok(Self {
            state: packed,
            words: [0; 3],
            timeout,
        })
    }

    /// Returns the record of a flow with these keys, whose first packet has `len` bytes.
    pub(crate) fn entry(
        &self,
        now: Timestamp,
        label: Label,
        [original, reply]: [Tuple; 2],
        len: u64,
    ) -> Entry {
        Entry {
            label: label.to_u32(),
            state: self.state,
            words: self.words,
            packets: [1, 0],
            bytes: [len, 0],
            ..Entry::new(original, reply, end_of(now, self.timeout))
        }
    }
}

impl Timeouts {
    fn of_tcp(&self, state: TcpState) -> Duration {
        match state {
            TcpState::SynSent => self.tcp_syn,
            TcpState::Established | TcpState::FinSeen => self.tcp_established,
            TcpState::SynReceived | TcpState::TimeWait => self.tcp_transitory,
            TcpState::Reset => self.tcp_reset,
        }
    }
}

/// Returns from when on a flow whose time is `timeout` is gone.
fn end_of(now: Timestamp, timeout: Duration) -> Timestamp {
    now + timeout + Timeouts::GRANULARITY
}

/// Prolongs a flow, unless that would change little. Whoever keeps a journal hears of it when the
/// [journaled end](journaled_end) is another one by that.
#[inline]
fn prolong(record: &Record<'_>, now: Timestamp, timeout: Duration) {
    let (end, before) = (end_of(now, timeout), record.expires());
    if end >= before + Timeouts::GRANULARITY {
        record.set_expires(end);
        if journaled_end(end, timeout) != journaled_end(before, timeout) {
            record.mark();
        }
    }
}

/// Returns the end that a journal says of a flow that ends at `end`: at most an eighth of its time later, so that
/// a flow in use is written seldom.
pub(crate) fn journaled_end(end: Timestamp, timeout: Duration) -> Timestamp {
    let step = u64::try_from(timeout.as_nanos() / JOURNALED_PARTS).unwrap_or(u64::MAX);
    let steps = end.as_nanos().div_ceil(step.max(1));
    Timestamp::from_nanos(steps.saturating_mul(step.max(1)))
}

impl Nat {
    /// Takes a packet of `len` bytes into its flow.
    #[inline(always)]
    pub(crate) fn follow(
        &self,
        pass: &Pass<'_>,
        mut record: Record<'_>,
        direction: Direction,
        packet: &FlowPacket,
        len: u64,
    ) -> Result<(), NatDrop> {
        match &packet.l4 {
            L4::Tcp(segment) => self.follow_tcp(pass, &mut record, direction, segment)?,
            L4::Udp => self.follow_udp(pass, &mut record, direction),
            L4::Query(_) => {
                if direction == Direction::Reply {
                    let before = record.state();
                    let after = record.update(|state| Some(state | ANSWERED));
                    // A flow that is gone has nothing to remember.
                    if after.is_ok_and(|after| after != before) {
                        record.mark();
                    }
                }
                prolong(&record, pass.now, self.config.timeouts.icmp_query);
            }
        }
        record.count(direction, 1, len);
        Ok(())
    }

    #[inline]
    fn follow_udp(&self, pass: &Pass<'_>, record: &mut Record<'_>, direction: Direction) {
        let before = record.state();
        let after = record.update(|state| {
            Some(match direction {
                Direction::Reply => state | ANSWERED,
                Direction::Original if state & ANSWERED != 0 => state | IN_USE | Entry::ASSURED,
                Direction::Original => state,
            })
        });
        let Ok(after) = after else { return };
        let timeouts = &self.config.timeouts;
        if after & IN_USE == 0 {
            prolong(record, pass.now, timeouts.udp_brief);
        } else {
            prolong(record, pass.now, timeouts.udp);
        }
        if before != after {
            record.mark();
        }
        if before & IN_USE != after & IN_USE {
            self.assure(record, Assurance::Given);
        }
    }

    #[inline(always)]
    fn follow_tcp(
        &self,
        pass: &Pass<'_>,
        record: &mut Record<'_>,
        direction: Direction,
        segment: &TcpSegment,
    ) -> Result<(), NatDrop> {
        let Some(words) = record.words() else {
            return Ok(());
        };
        let state = record.state();
        let steady = Packed { state, words }.after_steady(direction, segment);
        // Another worker may have changed the state since the record was found.
        if let Some(after) = steady
            && state & Entry::ASSURED != 0
            && record.update(Some) == Ok(state)
        {
            write_words(record, words, after, Effect::Counts);
            prolong(record, pass.now, self.config.timeouts.tcp_established);
            return Ok(());
        }
        self.advance_tcp(pass, record, direction, segment, words)
    }

    /// Takes in a segment that may change the state of its connection, which was read with `words`.
    #[inline(never)]
    fn advance_tcp(
        &self,
        pass: &Pass<'_>,
        record: &mut Record<'_>,
        direction: Direction,
        segment: &TcpSegment,
        words: [u64; 3],
    ) -> Result<(), NatDrop> {
        let before = record.state();
        let mut seen = (Effect::Outside, words, TcpState::Reset);
        let after = record.update(|state| {
            let packed = Packed {
                state: state & Packed::STATE,
                words,
            };
            let mut connection = Connection::unpack(&packed);
            let effect = connection.receive(direction, segment);
            let after = connection.pack();
            seen = (effect, after.words, connection.state);
            let assured = if connection.is_open() {
                Entry::ASSURED
            } else {
                0
            };
            Some(state & !(Packed::STATE | Entry::ASSURED) | after.state | assured)
        });
        let Ok(after) = after else { return Ok(()) };
        let (effect, after_words, state) = seen;
        match effect {
            Effect::Outside => {
                self.counters.shard(pass.worker).tcp_out_of_window.add_one();
                return Ok(());
            }
            Effect::Passes => return Ok(()),
            Effect::Reopens => self.reopen(pass, record)?,
            Effect::Counts => {}
        }
        write_words(record, words, after_words, effect);
        let timeout = self.config.timeouts.of_tcp(state);
        if before & Packed::KIND == after & Packed::KIND {
            prolong(record, pass.now, timeout);
        } else {
            record.set_expires(end_of(pass.now, timeout));
            record.mark();
        }
        match (before & Entry::ASSURED, after & Entry::ASSURED) {
            (0, 0) => {}
            (0, _) => self.assure(record, Assurance::Given),
            (_, 0) => self.assure(record, Assurance::Withdrawn),
            _ => {}
        }
        Ok(())
    }

    /// Counts a connection that begins again with its sandbox.
    #[cold]
    fn reopen(&self, pass: &Pass<'_>, record: &Record<'_>) -> Result<(), NatDrop> {
        let is_counted = record
            .label()
            .map(Label::from_u32)
            .is_some_and(Label::is_counted);
        match record.tuple(Direction::Original) {
            Some(original) if is_counted => self.count_reopening(pass, &host_of(&original)),
            _ => Ok(()),
        }
    }

    /// Tells the mappings of a flow that it is established, or that it is over.
    #[cold]
    fn assure(&self, record: &Record<'_>, assurance: Assurance) {
        let Some(entry) = record.entry() else { return };
        for (internal, external) in mappings_of(&entry) {
            match assurance {
                Assurance::Given => self.assure_mapping(&internal, external),
                Assurance::Withdrawn => self.unassure_mapping(&internal, external),
            }
        }
    }

    /// Gives back what a record that was removed had a share in.
    pub(crate) fn forget(&self, gone: &Entry) {
        for (internal, external) in mappings_of(gone) {
            self.give_back_mapping(&internal, external);
        }
        if Label::from_u32(gone.label).is_counted() {
            self.uncount_flow(&host_of(&gone.original));
        }
    }
}

/// What mappings are told of one of their flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Assurance {
    Given,
    Withdrawn,
}

/// Returns the sandbox that opened a flow.
pub(crate) fn host_of(original: &Tuple) -> Host {
    Host {
        realm: original.realm,
        endpoint: original.src,
    }
}

/// Returns both ends of the mappings that a flow has a share in.
fn mappings_of(entry: &Entry) -> impl Iterator<Item = (Internal, Endpoint)> {
    let label = Label::from_u32(entry.label);
    let opener = label.holds_opener_mapping().then(|| opener_ends(entry));
    let server = label.holds_server_mapping().then(|| server_ends(entry));
    opener.into_iter().chain(server)
}

/// Returns both ends of the port that a sandbox opened a flow from.
pub(crate) fn opener_ends(entry: &Entry) -> (Internal, Endpoint) {
    (Internal::source_of(&entry.original), entry.reply.dst)
}

/// Returns both ends of the port of a sandbox that a flow was opened to.
pub(crate) fn server_ends(entry: &Entry) -> (Internal, Endpoint) {
    (Internal::source_of(&entry.reply), entry.original.dst)
}

impl Timeouts {
    /// Returns how long a flow lives that is in its present state.
    pub(crate) fn of_flow(&self, flow: &Entry) -> Duration {
        match flow.original.protocol {
            IpProtocol::TCP => self.of_tcp(connection_of(flow).state),
            IpProtocol::UDP if flow.state & IN_USE != 0 => self.udp,
            IpProtocol::UDP => self.udp_brief,
            _ => self.icmp_query,
        }
    }
}

/// Returns the connection of a flow of TCP.
fn connection_of(flow: &Entry) -> Connection {
    Connection::unpack(&Packed {
        state: flow.state & Packed::STATE,
        words: flow.words,
    })
}

/// Returns a flow as it goes on after packets that nobody has seen, or that were not written down: of a connection
/// that is open, nothing is known any more of where its ends are.
pub(crate) fn interrupted(flow: &Entry) -> Entry {
    if flow.original.protocol != IpProtocol::TCP {
        return *flow;
    }
    let Packed { state, words } = connection_of(flow).interrupted().pack();
    Entry {
        state: flow.state & !Packed::STATE | state,
        words,
        ..*flow
    }
}

/// Returns the state of a flow or mapping as users see it.
pub(crate) fn state_of(entry: &Entry) -> FlowState {
    if !Label::from_u32(entry.label).is_flow() {
        return FlowState::Replied;
    }
    if entry.original.protocol == IpProtocol::TCP {
        return FlowState::Tcp(connection_of(entry).state);
    }
    match entry.state & ANSWERED {
        0 => FlowState::Unreplied,
        _ => FlowState::Replied,
    }
}

/// Writes those words of a connection that are not as they were read.
#[inline(always)]
fn write_words(record: &Record<'_>, before: [u64; 3], after: [u64; 3], effect: Effect) {
    for (index, (before, after)) in before.into_iter().zip(after).enumerate() {
        if before != after {
            write_word(record, index, before, after, effect);
        }
    }
}

/// Writes a word of a connection that was read as `before`.
fn write_word(record: &Record<'_>, index: usize, before: u64, after: u64, effect: Effect) {
    let (mut expected, mut new) = (before, after);
    for _ in 0..RETRIES {
        if record.exchange_word(index, expected, new) {
            return;
        }
        let Some(now) = record.word(index) else {
            return;
        };
        expected = now;
        new = match effect {
            Effect::Reopens => after,
            Effect::Counts | Effect::Passes | Effect::Outside => later_of(now, after),
        };
    }
}
