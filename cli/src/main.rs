//! The tapweave command.
fn main() {}
