//! What a sandbox may have: a limit on its flows and on how fast it opens them.
//!
//! # Theory of operation
//!
//! Both are counted by the sandbox's address in its network. The count is a record of the table like any
//! other, under a protocol number that no packet has (255, reserved by IANA), so it needs no table of its
//! own and gives way like any other once nothing is counted.
//!
//! The state of the record is the number of flows ([share](crate::share)). Its first word is a generic
//! cell rate algorithm (ITU-T I.371 annex A): the time at which all flows that were admitted would have
//! been opened at the rate of the limit. A flow is admitted if it would not push that time more than a
//! second beyond now. When the last flow is gone the record stays until that time: from then on, it says
//! nothing.

use core::time::Duration;

use tapweave_net::{IpProtocol, Timestamp};

use crate::label::Label;
use crate::nat::{Nat, Pass};
use crate::share::{self, NoShare};
use crate::table::{Endpoint, Entry, Insert, Realm, Record, Tuple};
use crate::{Limits, NatDrop};

/// What records of sandboxes have for a protocol.
const RESERVED: IpProtocol = IpProtocol(255);

/// Attempts against other workers that count flows of the same sandbox.
const RETRIES: u32 = 16;

const SECOND: Duration = Duration::from_secs(1);

/// A sandbox's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Host {
    pub(crate) realm: Realm,
    /// With whichever port.
    pub(crate) endpoint: Endpoint,
}

impl Host {
    fn key(&self) -> Tuple {
        Tuple {
            realm: self.realm,
            protocol: RESERVED,
            src: self.endpoint.with_port(0),
            dst: Endpoint::any_like(self.endpoint.ip()),
        }
    }
}

impl Nat {
    /// Counts a new flow of a sandbox, and tells whether it was counted: it is not without limits.
    pub(crate) fn count_flow(&self, pass: &Pass<'_>, host: &Host) -> Result<bool, NatDrop> {
        let limits = self.limits_of(pass, host);
        if limits.flows.is_none() && limits.new_flows_per_second.is_none() {
            return Ok(false);
        }
        let flow_limit = limits.flows.map_or(u32::MAX, Into::into);
        for _ in 0..RETRIES {
            let Some((mut record, _)) = self.table.find(&host.key(), pass.now) else {
                self.add_host(pass, host)?;
                continue;
            };
            match share::take(&mut record, flow_limit) {
                Err(NoShare::Gone) => continue,
                Err(NoShare::Limit) => return Err(NatDrop::FlowLimit),
                Ok(()) => {}
            }
            return match admit(pass.now, &record, limits) {
                Ok(()) => Ok(true),
                Err(drop) => {
                    give_back(&mut record);
                    Err(drop)
                }
            };
        }
        Err(NatDrop::Contended)
    }

    /// Takes a flow from the count of its sandbox.
    pub(crate) fn uncount_flow(&self, host: &Host) {
        // At the beginning of time nothing has expired.
        if let Some((mut record, _)) = self.table.find(&host.key(), Timestamp::ZERO) {
            give_back(&mut record);
        }
    }

    /// Counts a connection that is opened anew in the place of an old one.
    pub(crate) fn count_reopening(&self, pass: &Pass<'_>, host: &Host) -> Result<(), NatDrop> {
        match self.table.find(&host.key(), pass.now) {
            Some((record, _)) => admit(pass.now, &record, self.limits_of(pass, host)),
            None => Ok(()),
        }
    }

    /// Counts a flow that was there before a restart, whatever the limits.
    pub(crate) fn restore_count(&self, now: Timestamp, host: &Host) -> bool {
        for _ in 0..RETRIES {
            if let Some((mut record, _)) = self.table.find(&host.key(), now) {
                if share::take(&mut record, u32::MAX).is_ok() {
                    return true;
                }
            } else {
                let entry = new_entry(host, now);
                self.table.insert(now, &entry, |gone| self.forget(gone));
            }
        }
        false
    }

    fn add_host(&self, pass: &Pass<'_>, host: &Host) -> Result<(), NatDrop> {
        let entry = new_entry(host, pass.now);
        match self.insert(pass, &entry) {
            Insert::Added(_) | Insert::Exists(..) => Ok(()),
            Insert::Full => Err(NatDrop::TableFull),
            Insert::ReplyTaken | Insert::Busy => Err(NatDrop::Contended),
        }
    }

    fn limits_of(&self, pass: &Pass<'_>, host: &Host) -> Limits {
        let network = host.realm.network();
        network
            .and_then(|network| pass.rules.limits_of(network, host.endpoint.ip()))
            .unwrap_or(self.config.limits)
    }
}

/// Takes a token of the rate limit.
fn admit(now: Timestamp, record: &Record<'_>, limits: Limits) -> Result<(), NatDrop> {
    let Some(rate) = limits.new_flows_per_second else {
        return Ok(());
    };
    let interval = SECOND / rate.get();
    for _ in 0..RETRIES {
        // A record that is gone has no memory of the flows before this one.
        let Some(word) = record.word(0) else {
            return Ok(());
        };
        let start = Timestamp::from_nanos(word).max(now);
        if start + interval > now + SECOND {
            return Err(NatDrop::FlowRate);
        }
        if record.exchange_word(0, word, (start + interval).as_nanos()) {
            return Ok(());
        }
    }
    Err(NatDrop::Contended)
}

fn new_entry(host: &Host, now: Timestamp) -> Entry {
    let key = host.key();
    Entry {
        label: Label::HOST.to_u32(),
        ..Entry::new(key, key.reversed(), now + SECOND)
    }
}

/// Gives a share back. The record may go once its rate says nothing any more.
fn give_back(record: &mut Record<'_>) {
    if let Some(word) = record.word(0) {
        let rate_ends = Timestamp::from_nanos(word);
        record.set_expires(rate_ends + SECOND);
    }
    share::give_back(record);
}
