//! Placeholder of the scaffold.
#![forbid(unsafe_code)]
