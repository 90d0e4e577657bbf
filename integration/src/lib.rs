//! The harness of the tests that run the real `tapweave` between real network namespaces.
//!
//! A test is a closure that gets a [`Lab`]: a directory of its own, from which it makes
//! [`Sandbox`]es (network namespaces), starts a [`Daemon`] and drives it through the command line as
//! a user would. Traffic is made and judged by others: the kernel's own stack, ping, iperf3, scapy
//! and tshark, and small Python programs in `tools/` that know only `AF_PACKET` and sockets.
//!
//! Three rules keep the tests exact and quick.
//!
//! - Nobody sleeps: a test waits for a condition with a deadline ([`wait`]), or for a *marker*, a
//!   last frame that travels behind the frames that are counted ([`flood`]).
//! - A checker returns an error and never panics, so that `tests/checkers.rs` can prove on a Linux
//!   bridge that it passes where it should and fails where it should.
//! - What a test may need of its surroundings is told by the module that it is in
//!   (`everywhere`, `named`, `outside`), which `./test` selects by; no test skips itself. Tests in
//!   `once` run in the mode `user` only, because their result does not depend on the mode.
//!
//! `./test integration` wraps the run in namespaces of its own and sets the [`Mode`].

pub mod bridge;
pub mod capture;
pub mod checker;
pub mod cli;
pub mod conformance;
pub mod crowd;
pub mod daemon;
pub mod datagrams;
pub mod family;
pub mod flood;
pub mod frame;
pub mod groups;
pub mod http;
pub mod kernel;
pub mod lab;
pub mod listener;
pub mod listing;
pub mod masquerade;
pub mod mode;
pub mod pair;
pub mod pcap;
pub mod peers;
pub mod process;
mod program;
pub mod requests;
pub mod routed;
pub mod sandbox;
pub mod segment;
pub mod sequence;
pub mod site;
pub mod steady;
pub mod traffic;
pub mod underlay;
pub mod usage;
pub mod wait;
pub mod whoami;
pub mod world;

pub use capture::Capture;
pub use checker::Checker;
pub use cli::Cli;
pub use daemon::Daemon;
pub use family::Family;
pub use lab::Lab;
pub use listener::Listener;
pub use listing::Endpoint;
pub use mode::Mode;
pub use pair::Pair;
pub use sandbox::Sandbox;
pub use segment::Segment;
pub use site::Site;
pub use world::World;
