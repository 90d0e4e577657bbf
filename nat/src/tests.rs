//! The translation as a whole, requirement by requirement.

mod carrying;
mod expiry;
mod fragments;
mod hairpin;
mod icmp;
mod limits;
mod mapping;
mod model;
mod published;
mod reference;
mod tcp;
mod udp;
mod untranslated;
mod workers;
mod world;
