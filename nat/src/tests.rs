//! The translation as a whole, requirement by requirement.

mod hairpin;
mod icmp;
mod mapping;
mod published;
mod udp;
mod untranslated;
mod world;
