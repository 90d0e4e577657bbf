//! Packets before and after translation, each built from scratch with every checksum computed.

pub(crate) mod build;
mod errors;
mod flows;
mod fragments;
mod refused;
