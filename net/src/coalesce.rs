//! Merging runs of frames of one flow into the super-frame that they could have been.
//!
//! # Theory of operation
//!
//! The reverse of [`Splitter`](crate::Splitter), and what the kernel calls GRO. A device that cuts
//! super-frames takes one of up to 64 datagrams for the price of little more than one frame: one
//! write, one pass through the stack. So frames that would leave through the same device right after
//! each other are gathered in a [`Run`], and the run leaves as one frame. Cutting that frame gives back
//! the frames that went in, byte by byte, but for two things that have no meaning: the Identification of
//! an IPv4 packet that must not be fragmented (RFC 6864 §4.1), and whether a checksum had been
//! completed yet.
//!
//! A [`RunTable`] keeps the runs of one batch, which is what its user gathers before it writes: the
//! frames of one read or of several. They are offered to it in order, each with the port that it leaves
//! through; at the end of the batch all runs leave, so nothing waits for a frame that may never come. In
//! between **order inside a flow is kept**.
//! [`FrameClass::of`] tells what a frame means for the runs of its port:
//!
//! - A [`FrameClass::Candidate`] that the open run of its flow refuses makes that run leave first.
//! - So does a [`FrameClass::Single`], which is of a known flow but never merged.
//! - A [`FrameClass::Barrier`] may be of any flow: every run leaves first.
//! - A [`FrameClass::Foreign`] frame is of no flow that is merged, and passes.
//!
//! # What is merged
//!
//! UDP, by the rules of `inet_gro_receive`, `ipv6_gro_receive` and `udp_gro_receive_segment`:
//!
//! - All headers are equal, from the destination MAC address over VLAN tags, DSCP, ECN, flow label and
//!   hops left to the ports, but for lengths, checksums and the Identification. That counts up by one
//!   from frame to frame, or has no meaning because of DF.
//! - IPv4 without options and with a right header checksum, IPv6 without extension headers; no
//!   fragment, no group as the destination.
//! - IP and UDP agree about the length, and the frame ends there: one that was padded is left alone,
//!   because its padding would not come back.
//! - There is payload, the same number of bytes in every frame of the run. A shorter one ends it.
//! - The UDP checksum is there and right: it is *verified* before the first merge, since the
//!   super-frame gets a new one and would turn a corrupted datagram into a valid one. A partial
//!   checksum is no statement about the payload; of it the sum of the pseudo-header is verified.
//!
//! A run ends at 64 frames ([`Run::MAX_FRAMES`]) or where IP cannot state its length any more.

mod class;
mod run;
mod table;

pub use class::{Candidate, FlowHash, FrameClass};
pub use run::{Appended, Run};
pub use table::{Offered, RunTable};
