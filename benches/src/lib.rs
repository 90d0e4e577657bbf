//! What the end-to-end benchmark is made of; `benches/benches/end_to_end.rs` joins it.
//!
//! Datapaths that do the same job stand beside each other ([`datapath`]), between sandboxes made by the
//! harness of the integration tests; and so do gateways between a sandbox and the outside ([`gateway`]) and
//! those who answer for names ([`resolver`]). A
//! *round* measures each of them once, so that what the machine does
//! besides hits all alike ([`rounds`]); ratios are taken within a round, and a result is the median of
//! the rounds with its spread ([`series`]). Every run proves by the datapath's own counters that the
//! payload went through it.

pub mod arrivals;
pub mod connections;
pub mod cost;
pub mod datapath;
pub mod dns_peer;
pub mod dnsperf;
pub mod frames;
pub mod gap;
pub mod gateway;
pub mod generator;
pub mod idle;
pub mod iperf;
pub mod machine;
pub mod mix;
pub mod names;
pub mod namespaces;
pub mod overlay;
pub mod packet_socket;
pub mod ping_pong;
pub mod plan;
pub mod program;
pub mod rate;
pub mod report;
pub mod resolver;
pub mod rounds;
pub mod series;
pub mod tcp;
pub mod trial;
