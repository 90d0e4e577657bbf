//! Frames of each class with 32 bytes of payload. Their checksums are wrong: nobody looks at them.

use std::net::{IpAddr, SocketAddr};

use tapweave_net::{ChecksumOffload, Offload};

/// What a flow carries, and over what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    pub(crate) name: &'static str,
    pub(crate) protocol: u8,
    pub(crate) is_v6: bool,
    pub(crate) is_partial: bool,
}

pub(crate) const CLASSES: [Class; 7] = [
    Class::new("tcp4", 6, false),
    Class::new("tcp4-partial", 6, false).partial(),
    Class::new("tcp6", 6, true),
    Class::new("tcp6-partial", 6, true).partial(),
    Class::new("udp4", 17, false),
    Class::new("udp6", 17, true),
    Class::new("echo4", 1, false),
];

pub(crate) const TCP: u8 = 6;
pub(crate) const ECHO: u8 = 1;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;

const LINK_LEN: usize = 14;
const PAYLOAD: [u8; 32] = [0; 32];
/// Room for the longest class.
pub(crate) const MAX_LEN: usize = LINK_LEN + 40 + 20 + PAYLOAD.len();

impl Class {
    const fn new(name: &'static str, protocol: u8, is_v6: bool) -> Self {
        Self {
            name,
            protocol,
            is_v6,
            is_partial: false,
        }
    }

    const fn partial(self) -> Self {
        Self {
            is_partial: true,
            ..self
        }
    }

    const fn l4_at(&self) -> usize {
        LINK_LEN + if self.is_v6 { 40 } else { 20 }
    }

    pub(crate) fn offload(&self) -> Offload {
        let start = if self.is_v6 { 54 } else { 34 };
        Offload {
            checksum: if self.is_partial {
                ChecksumOffload::Partial { start, offset: 16 }
            } else {
                ChecksumOffload::Complete
            },
            gso: None,
        }
    }

    /// A frame from nowhere to nowhere.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let l4 = match self.protocol {
            TCP => vec![
                0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, ACK, 0xff, 0xff, 0x12, 0x34, 0, 0,
            ],
            ECHO => vec![8, 0, 0x12, 0x34, 0, 0, 0, 1],
            _ => vec![0, 0, 0, 0, 0, 40, 0x12, 0x34],
        };
        let len = u8::try_from(l4.len() + PAYLOAD.len()).unwrap_or(u8::MAX);
        let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
        if self.is_v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, len, self.protocol, 64]);
            frame.extend([0; 32]);
        } else {
            frame.extend([0x08, 0x00, 0x45, 0, 0, 20 + len, 0, 1, 0x40, 0]);
            frame.extend([64, self.protocol, 0x12, 0x34]);
            frame.extend([0; 8]);
        }
        frame.extend(l4);
        frame.extend(PAYLOAD);
        frame
    }

    /// Writes addresses and ports. An echo has the port that is not zero for its identifier, and is a
    /// request if that is the source's.
    pub(crate) fn set_ends(&self, frame: &mut [u8], src: SocketAddr, dst: SocketAddr) {
        let at = LINK_LEN + if self.is_v6 { 8 } else { 12 };
        let addresses = frame.iter_mut().skip(at);
        for (to, from) in addresses.zip(octets(src.ip()).chain(octets(dst.ip()))) {
            *to = from;
        }
        let [src, dst] = [src.port(), dst.port()];
        let l4 = frame.get_mut(self.l4_at()..).unwrap_or_default();
        if self.protocol == ECHO {
            let [kind, id] = if src == 0 { [0, dst] } else { [8, src] };
            put(l4, 0, &kind.to_be_bytes()[1..]);
            put(l4, 4, &id.to_be_bytes());
        } else {
            put(l4, 0, &src.to_be_bytes());
            put(l4, 2, &dst.to_be_bytes());
        }
    }

    /// Writes what a TCP segment of a handshake has.
    pub(crate) fn set_segment(&self, frame: &mut [u8], flags: u8, seq: u8, ack: u8) {
        let l4 = frame.get_mut(self.l4_at()..).unwrap_or_default();
        put(l4, 7, &[seq]);
        put(l4, 11, &[ack]);
        put(l4, 13, &[flags]);
    }

    /// Returns the source of a frame, as it stands: an echo's identifier for a port.
    pub(crate) fn src(&self, frame: &[u8]) -> Option<SocketAddr> {
        let at = if self.protocol == ECHO { 4 } else { 0 };
        let port = frame.get(self.l4_at() + at..)?.first_chunk()?;
        let address: IpAddr = if self.is_v6 {
            (*frame.get(LINK_LEN + 8..)?.first_chunk::<16>()?).into()
        } else {
            (*frame.get(LINK_LEN + 12..)?.first_chunk::<4>()?).into()
        };
        Some(SocketAddr::new(address, u16::from_be_bytes(*port)))
    }
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(field) {
        *to = *from;
    }
}

fn octets(address: IpAddr) -> impl Iterator<Item = u8> {
    let (octets, len) = match address {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            put(&mut octets, 0, &address.octets());
            (octets, 4)
        }
        IpAddr::V6(address) => (address.octets(), 16),
    };
    octets.into_iter().take(len)
}
