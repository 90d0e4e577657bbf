//! What overlays travel over, as `stats` and `port show` tell it.

use tapweave_control::api::PortUnderlay;
use tapweave_control::datapath::{SocketBufferState, UnderlayAddress};

use crate::table::Table;

/// Adds to the facts of a port what carries its frames, how, and what the kernel refused.
pub(crate) fn facts(underlay: &PortUnderlay, table: &mut Table) {
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    fact("event loop", underlay.event_loops.join(", "));
    for at in &underlay.addresses {
        let port = at.port.map(|port| format!(" port {port}"));
        let port = port.unwrap_or_default();
        fact("underlay", format!("{}{port}", at.address));
        fact("  UDP_SEGMENT", segmentation(at));
        fact("  UDP_GRO", gro(at).to_owned());
        fact("  receive buffer", limited(at.receive_buffer, "rmem_max"));
        if let Some(send) = at.send_buffer {
            fact("  send buffer", limited(send, "wmem_max"));
        }
    }
}

fn segmentation(at: &UnderlayAddress) -> String {
    match &at.segmentation_refusal {
        None if at.segmentation => "yes".to_owned(),
        None => "no".to_owned(),
        Some(refusal) => format!("no, each datagram by itself: {refusal}"),
    }
}

const fn gro(at: &UnderlayAddress) -> &'static str {
    if at.gro {
        "yes"
    } else {
        "no, datagrams come one by one: needs Linux 5.0"
    }
}

/// Says how large a buffer is, and which of the system's limits is in the way if one is.
fn limited(buffer: SocketBufferState, limit: &str) -> String {
    if buffer.granted_len < buffer.asked_len {
        format!("{}: raise net.core.{limit}", size(buffer))
    } else {
        size(buffer)
    }
}

/// Says how large a buffer is, and how large it should have been.
pub(crate) fn size(buffer: SocketBufferState) -> String {
    if buffer.granted_len < buffer.asked_len {
        return format!("{} of {}", buffer.granted_len, buffer.asked_len);
    }
    buffer.granted_len.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fell_back_is_said_with_its_reason() {
        let mut at = UnderlayAddress {
            address: "192.0.2.1".parse().unwrap(),
            encap: "vxlan".to_owned(),
            port: Some(4789),
            sockets: 1,
            segmentation: true,
            segmentation_refusal: None,
            gro: true,
            receive_buffer: SocketBufferState {
                asked_len: 8 << 20,
                granted_len: 425_984,
            },
            send_buffer: Some(SocketBufferState {
                asked_len: 4 << 20,
                granted_len: 4 << 20,
            }),
        };
        let shown = |at: &UnderlayAddress| {
            let mut table = Table::new(&["PORT", "far/a"]);
            let underlay = PortUnderlay {
                addresses: vec![at.clone()],
                event_loops: vec!["epoll".to_owned()],
            };
            facts(&underlay, &mut table);
            table.to_string()
        };
        let text = shown(&at);
        for line in [
            "event loop        epoll",
            "underlay          192.0.2.1 port 4789",
            "  UDP_SEGMENT     yes",
            "  UDP_GRO         yes",
            "  receive buffer  425984 of 8388608: raise net.core.rmem_max",
            "  send buffer     4194304",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
        at.segmentation = false;
        at.segmentation_refusal = Some("Input/output error (os error 5)".to_owned());
        at.gro = false;
        let text = shown(&at);
        assert!(text.contains("no, each datagram by itself: Input/output error"));
        assert!(text.contains("no, datagrams come one by one"), "{text}");
    }
}
