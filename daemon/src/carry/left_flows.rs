//! The journal of flows that an earlier daemon has left, or is about to leave.
//!
//! Who takes over reads it while the other one still forwards, and once more when that one has stopped. What was added
//! between is little, and so is what is done while nobody forwards.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;
use std::{io, mem};

use tapweave_carry::flows::{self, FlowChanges};
use tapweave_carry::{BootId, Carried};
use tracing::debug;

use super::shelf::Kept;
use crate::holdings::Holdings;

/// Reads the journal of another daemon, as often as it is asked to.
#[derive(Debug)]
pub(crate) struct LeftFlows {
    holdings: Arc<Holdings>,
    boot: Option<BootId>,
    read: Option<Read>,
}

/// What a look at the journal shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum FlowNews {
    /// All flows. Of those that were shown before only these are there.
    All(Box<Carried>),
    /// What has become of them since the last look.
    Changes(FlowChanges),
}

/// What was read.
#[derive(Debug)]
struct Read {
    /// While it is open, no other file has its inode.
    file: File,
    len: u64,
}

impl LeftFlows {
    /// Returns what was not looked at yet.
    pub(crate) const fn new(holdings: Arc<Holdings>, boot: Option<BootId>) -> Self {
        Self {
            holdings,
            boot,
            read: None,
        }
    }

    /// Looks at the journal that [`Holdings`] were last found to have.
    pub(crate) fn look(&mut self) -> FlowNews {
        match (Kept::flows(Arc::clone(&self.holdings)).find(), self.boot) {
            (Some(file), Some(boot)) => self.look_at(&file, boot),
            (None, _) | (_, None) => FlowNews::All(Box::default()),
        }
    }

    fn look_at(&mut self, file: &File, boot: BootId) -> FlowNews {
        let before = mem::take(&mut self.read);
        if let Some(changes) = before.and_then(|before| before.changes(file).ok().flatten()) {
            debug!(places = changes.len(), "the journal has grown meanwhile");
            return FlowNews::Changes(changes);
        }
        let (carried, len) = super::read(file, boot, "flows");
        let is_whole = carried.refused.is_empty();
        self.read = Read::new(file, len).ok().filter(|_| is_whole);
        FlowNews::All(Box::new(carried))
    }
}

impl Read {
    fn new(file: &File, len: usize) -> io::Result<Self> {
        Ok(Self {
            file: file.try_clone()?,
            len: len as u64,
        })
    }

    /// Returns what was added to the file; none if it is another one, or cannot be read in parts.
    fn changes(self, file: &File) -> io::Result<Option<FlowChanges>> {
        let metadata = file.metadata()?;
        let known = self.file.metadata()?;
        if (metadata.dev(), metadata.ino()) != (known.dev(), known.ino()) {
            return Ok(None);
        }
        let len = metadata.len().saturating_sub(self.len);
        let mut added = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        file.read_exact_at(&mut added, self.len)?;
        Ok(flows::changes(&added))
    }
}

#[cfg(test)]
mod tests {
    use tapweave_carry::{container, names};
    use tapweave_nat::table::{Endpoint, Entry, Realm, Tuple};
    use tapweave_net::{IpProtocol, NetworkNo, Timestamp};

    use super::*;
    use crate::carry::test_place::BOOT;

    fn flow(port: u16) -> Entry {
        let end = |port| Endpoint::new([10, 0, 0, 1].into(), port);
        let tuple = |network| Tuple {
            realm: Realm::of(NetworkNo(network)),
            protocol: IpProtocol::UDP,
            src: end(port),
            dst: end(53),
        };
        Entry::new(tuple(1), tuple(0), Timestamp::from_secs(9))
    }

    fn file(flows: &[(u32, Entry)]) -> File {
        let file = tempfile::tempfile().unwrap();
        let mut bytes = container::header(BOOT).to_vec();
        names::write(&mut bytes, &[(NetworkNo(1), "a".repeat(64))].into());
        flows::write(&mut bytes, flows.iter().map(|(place, flow)| (*place, flow)));
        file.write_all_at(&bytes, 0).unwrap();
        file
    }

    fn add(file: &File, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        let len = file.metadata().unwrap().len();
        file.write_all_at(&bytes, len).unwrap();
    }

    fn all(news: FlowNews) -> Carried {
        match news {
            FlowNews::All(carried) => *carried,
            FlowNews::Changes(changes) => panic!("only {changes:?}"),
        }
    }

    #[test]
    fn of_the_same_journal_only_what_was_added_is_read_again() {
        let mut left = LeftFlows::new(Arc::new(Holdings::nothing()), Some(BOOT));
        assert_eq!(all(left.look()), Carried::default());
        let file = file(&[(0, flow(1)), (4, flow(2))]);
        let first = all(left.look_at(&file, BOOT)).flows;
        assert_eq!(first, [(0, flow(1)), (4, flow(2))].into());
        add(&file, |bytes| flows::write(bytes, [(7, &flow(3))]));
        add(&file, |bytes| flows::write_gone(bytes, [4]));
        let changes = [(4, None), (7, Some(flow(3)))];
        let news = left.look_at(&file, BOOT);
        assert_eq!(news, FlowNews::Changes(changes.into()));
    }

    #[test]
    fn another_journal_and_one_that_is_damaged_are_read_as_a_whole() {
        let mut left = LeftFlows::new(Arc::new(Holdings::nothing()), Some(BOOT));
        all(left.look_at(&file(&[(0, flow(1))]), BOOT));
        let other = file(&[(3, flow(2))]);
        let read = all(left.look_at(&other, BOOT));
        assert_eq!(read.flows, [(3, flow(2))].into());
        let len = other.metadata().unwrap().len();
        add(&other, |bytes| flows::write(bytes, [(7, &flow(3))]));
        other.write_all_at(&[0xff], len + 60).unwrap();
        let read = all(left.look_at(&other, BOOT));
        assert_eq!((read.flows.len(), read.refused.len()), (0, 1));
        // Nothing is built on what was refused.
        all(left.look_at(&other, BOOT));
    }
}
