//! Makes an interface of the descriptors that an earlier daemon had made: its queues, and the socket to see it through.
//!
//! What the interface is tells its descriptor: whether it is still there, what it is called now, and in which
//! namespace it is. What the kernel and the earlier daemon agreed on (header, offloads) belongs to the interface and stays;
//! it cannot be asked for and stands in the note.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Interface, InterfaceSight};
use crate::namespace::{NamespaceId, NetNamespace};
use crate::sys::tun;
use crate::tun_queues::{Layer, Segmentation, descriptor_count, name_of, queues_and_outlet};

/// What is to be known of an interface besides its descriptors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    ifindex: u32,
    segmentation: Segmentation,
    queue_count: usize,
}

/// Why there is no interface to adopt.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// Another version of this program has written the note.
    #[error("what was noted of the interface is not understood")]
    Note(#[source] serde_json::Error),
    /// Descriptors are missing.
    #[error("the interface had {expected} descriptors, and there are {there}")]
    DescriptorCount {
        /// How many there were.
        expected: usize,
        /// How many there are.
        there: usize,
    },
    /// Somebody has deleted it.
    #[error("the interface has been deleted")]
    Deleted,
    /// Somebody has moved it.
    #[error("interface {ifname} has been moved to another namespace")]
    Elsewhere {
        /// Its name there.
        ifname: String,
    },
    /// The kernel does not tell.
    #[error("the kernel does not tell which interface it is")]
    Unknown(#[source] io::Error),
}

impl Interface {
    /// Returns the descriptors that [`Interface::adopt`] takes.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let queues = self.queues.iter().chain(&self.outlet);
        let queues = queues.map(AsFd::as_fd);
        queues.chain([self.sight.as_fd()]).collect()
    }

    /// Returns what [`Interface::adopt`] has to be told beside the descriptors.
    pub fn note(&self) -> String {
        let note = Note {
            ifindex: self.ifindex,
            segmentation: self.segmentation,
            queue_count: self.queues.len(),
        };
        // Numbers and a word are always written.
        serde_json::to_string(&note).unwrap_or_default()
    }

    /// Makes an interface of its descriptors, which must still be one of `namespace`. It is not changed, and has the name
    /// that it has now.
    ///
    /// # Errors
    ///
    /// See [`AdoptError`]. The descriptors are closed, and with the last queue the interface goes.
    pub fn adopt(
        mut fds: Vec<OwnedFd>,
        note: &str,
        namespace: &NetNamespace,
    ) -> Result<Self, AdoptError> {
        let note: Note = serde_json::from_str(note).map_err(AdoptError::Note)?;
        let missing = AdoptError::DescriptorCount {
            expected: descriptor_count(note.queue_count),
            there: fds.len().saturating_sub(1),
        };
        let sight = fds.pop().ok_or(missing)?;
        let ifname = present_name(&fds, note.queue_count, namespace.id())?;
        let framing = note.segmentation.framing(Layer::Ethernet);
        let (queues, outlet) = queues_and_outlet(fds, framing);
        Ok(Self {
            ifname,
            ifindex: note.ifindex,
            offloads: framing.offloads(),
            segmentation: note.segmentation,
            queues,
            outlet,
            sight: InterfaceSight::new(sight, note.ifindex),
        })
    }
}

/// Returns the present name of the interface that has these descriptors, which must be those of `queue_count` queues, in
/// `namespace`.
pub(crate) fn present_name(
    fds: &[OwnedFd],
    queue_count: usize,
    namespace: NamespaceId,
) -> Result<String, AdoptError> {
    let expected = descriptor_count(queue_count);
    let first = match fds.first() {
        Some(first) if fds.len() == expected => first,
        _ => {
            return Err(AdoptError::DescriptorCount {
                expected,
                there: fds.len(),
            });
        }
    };
    let ifname = match tun::interface(first.as_fd()) {
        Ok((name, _flags)) => name_of(&name),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::BADFD) => {
            return Err(AdoptError::Deleted);
        }
        Err(error) => return Err(AdoptError::Unknown(error)),
    };
    match tun::namespace(first.as_fd()) {
        Ok(now) => {
            let now = NamespaceId::of(now.as_fd()).map_err(AdoptError::Unknown)?;
            if now != namespace {
                return Err(AdoptError::Elsewhere { ifname });
            }
        }
        // Before Linux 5.2 it is believed to be where it was made.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {}
        Err(error) => return Err(AdoptError::Unknown(error)),
    }
    Ok(ifname)
}
