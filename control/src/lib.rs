//! The control plane of tapweave.

pub mod datapath;
