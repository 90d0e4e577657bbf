//! The wire formats against independent implementations, smoltcp, etherparse and scapy, and against
//! properties that hold for every frame.

#[cfg(test)]
mod checksums;
#[cfg(test)]
mod coalescing;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod listeners;
#[cfg(test)]
mod splitting;
#[cfg(test)]
mod tcp_coalescing;
#[cfg(test)]
mod truncation;
