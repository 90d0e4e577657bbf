//! The wire formats against two independent implementations, smoltcp and etherparse, and against
//! properties that hold for every frame.

#[cfg(test)]
mod checksums;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod splitting;
#[cfg(test)]
mod truncation;
