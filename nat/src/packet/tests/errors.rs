//! ICMP errors: a rewritten one is the one that quotes the packet with its other ends.

use core::net::IpAddr;

use proptest::prelude::*;
use tapweave_net::{IpProtocol, Offload};

use super::build::{
    Kind, LINK_LEN, Spec, any_ends, any_translation, end, ends, error_about, error_frame,
    error_types, fill_header_checksum, header_len, read, with_packet,
};
use crate::packet::{Ends, ErrorEnds, Packet, QueryKind, Unreadable, rewrite_error};

fn translated(mut bytes: Vec<u8>, quoted: &Spec, to: &ErrorEnds) -> Vec<u8> {
    with_packet(&mut bytes, Offload::NONE, |frame, parsed, packet| {
        let Packet::Error(error) = packet else {
            panic!("{packet:?} is no error")
        };
        assert_eq!(error.quoted.ends, quoted.ends);
        assert_eq!(error.quoted.protocol.0, quoted.protocol());
        assert_eq!(error.dst, quoted.ends.src.ip());
        rewrite_error(frame, parsed, &error, to).unwrap();
    })
    .unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_rewritten_error_is_the_one_about_the_packet_with_its_other_ends(
        (quoted, to) in any_translation(99),
        router in any::<u32>(),
        kind in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        extension in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let kind = error_types(quoted.is_v6())[kind.index(error_types(quoted.is_v6()).len())];
        let router: IpAddr = if quoted.is_v6() {
            (u128::from(router) | 1 << 125).to_be_bytes().into()
        } else {
            router.to_be_bytes().into()
        };
        let header_len = header_len(&quoted);
        let whole = quoted.packet().len();
        let len = header_len + 8 + cut.index(whole - header_len - 7);
        // Half a checksum cannot follow.
        prop_assume!(len != header_len + quoted.checksum_at() + 1);
        // What follows a quotation that is cut would be taken for its end.
        let extension = if len == whole { &extension[..] } else { &[] };
        let after = quoted.with_ends(to);
        for (before_src, after_src) in [(router, router), (quoted.ends.dst.ip(), to.dst.ip())] {
            let before = error_frame(kind, before_src, &quoted, len, extension);
            let want = error_frame(kind, after_src, &after, len, extension);
            let got = translated(before, &quoted, &ErrorEnds { src: after_src, quoted: to });
            // A quoted partial checksum looks like a complete one, and follows the ports too.
            if quoted.offload() == Offload::NONE {
                prop_assert_eq!(got, want);
            }
        }
    }

    #[test]
    fn translating_there_and_back_changes_nothing(
        kind in prop::sample::select(vec![Kind::Tcp, Kind::Udp, Kind::UdpWithoutChecksum]),
        (is_v6, cut) in (any::<bool>(), 0_usize..60),
        payload in prop::collection::vec(any::<u8>(), 60),
        (seed, other) in (any_ends(false, Kind::Udp), any_ends(true, Kind::Udp)),
    ) {
        let pair = if is_v6 { other } else { seed };
        let quoted = Spec::new(kind, pair, &payload);
        let to = if is_v6 {
            ends("[2001:db8::7]:1024", "[2001:db8::1]:80")
        } else {
            ends("198.51.100.7:1024", "192.0.2.1:80")
        };
        let len = if is_v6 { 48 } else { 28 } + cut;
        let src = quoted.ends.dst.ip();
        let before = error_frame(error_types(is_v6)[0], src, &quoted, len, &[]);
        let there = ErrorEnds { src: to.dst.ip(), quoted: to };
        let back = ErrorEnds { src, quoted: quoted.ends };
        let after = translated(before.clone(), &quoted, &there);
        prop_assert_eq!(translated(after, &quoted.with_ends(to), &back), before);
    }
}

#[test]
fn rfc5508_req_4_a_port_unreachable_reaches_the_inside() {
    let sent = Spec::new(
        Kind::Udp,
        ends("198.51.100.7:1024", "192.0.2.1:53"),
        b"query",
    );
    let bytes = error_frame(3, end("192.0.2.1:0").ip(), &sent, 28, &[]);
    let Ok(Packet::Error(error)) = read(&bytes, Offload::NONE) else {
        panic!("no error")
    };
    assert!(error.is_from_end());
    assert_eq!(error.quoted.ends, sent.ends);
    let inside = ends("10.0.0.2:40000", "192.0.2.1:53");
    let to = ErrorEnds {
        src: error.src,
        quoted: inside,
    };
    let after = translated(bytes, &sent, &to);
    let want = error_frame(3, end("192.0.2.1:0").ip(), &sent.with_ends(inside), 28, &[]);
    assert_eq!(after, want);
    assert_eq!(after[30..34], [10, 0, 0, 2]);
    assert_eq!(after[54..64], [10, 0, 0, 2, 192, 0, 2, 1, 0x9c, 0x40]);
}

#[test]
fn the_sequence_number_of_a_quoted_segment_is_read() {
    let sent = Spec::new(Kind::Tcp, ends("198.51.100.7:1024", "192.0.2.1:80"), b"GET");
    let bytes = error_frame(11, end("192.0.2.254:0").ip(), &sent, 28, &[]);
    let Ok(Packet::Error(error)) = read(&bytes, Offload::NONE) else {
        panic!("no error")
    };
    assert_eq!(error.quoted.seq, Some(0x0102_0304));
    assert_eq!(error.quoted.query, None);
    assert!(!error.is_from_end());
}

#[test]
fn rfc5508_req_3_an_error_with_a_wrong_checksum_is_refused() {
    for pair in [
        ends("198.51.100.7:1024", "192.0.2.1:53"),
        ends("[2001:db8::7]:1024", "[2001:db8::1]:53"),
    ] {
        let sent = Spec::new(Kind::Udp, pair, b"query");
        let kind = error_types(sent.is_v6())[0];
        let mut bytes = error_frame(kind, pair.dst.ip(), &sent, 99, &[]);
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(read(&bytes, Offload::NONE), Err(Unreadable::ErrorChecksum));
    }
}

#[test]
fn rfc5508_req_3a_a_quoted_header_with_a_wrong_checksum_is_refused() {
    let pair = ends("198.51.100.7:1024", "192.0.2.1:53");
    let mut quote = Spec::new(Kind::Udp, pair, b"query").packet();
    quote[10] ^= 1;
    let bytes = error_about(3, pair.dst.ip(), pair.src.ip(), &quote);
    assert_eq!(read(&bytes, Offload::NONE), Err(Unreadable::QuotedChecksum));
}

#[test]
fn rfc5508_req_3b_quoted_options_and_extension_headers_are_stepped_over() {
    let mut sent = Spec::new(Kind::Tcp, ends("198.51.100.7:1024", "192.0.2.1:80"), b"GET");
    sent.extra = vec![0x94, 4, 0, 0];
    let to = ends("10.0.0.2:40000", "192.0.2.1:80");
    let src = sent.ends.dst.ip();
    let want = error_frame(11, src, &sent.with_ends(to), 44, &[]);
    let got = translated(
        error_frame(11, src, &sent, 44, &[]),
        &sent,
        &ErrorEnds { src, quoted: to },
    );
    assert_eq!(got, want);

    let mut sent = Spec::new(
        Kind::Tcp,
        ends("[2001:db8::7]:1024", "[2001:db8::1]:80"),
        b"GET",
    );
    // Hop-by-Hop Options and the Fragment header of a first fragment.
    sent.extra = vec![44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 9];
    sent.first_header = Some(0);
    let to = ends("[fd00::2]:40000", "[2001:db8::1]:80");
    let src = sent.ends.dst.ip();
    let want = error_frame(2, src, &sent.with_ends(to), 70, &[]);
    let got = translated(
        error_frame(2, src, &sent, 70, &[]),
        &sent,
        &ErrorEnds { src, quoted: to },
    );
    assert_eq!(got, want);
}

#[test]
fn an_error_about_what_is_not_translated_is_refused() {
    let pair = ends("198.51.100.7:1024", "192.0.2.1:53");
    let sent = Spec::new(Kind::Udp, pair, b"query").packet();
    let about = |quote: &[u8]| {
        let bytes = error_about(3, pair.dst.ip(), pair.src.ip(), quote);
        read(&bytes, Offload::NONE)
    };
    let with = |at: usize, value: u8| {
        let mut quote = sent.clone();
        quote[at] = value;
        fill_header_checksum(&mut quote[..20]);
        about(&quote)
    };
    let protocol = |number| Err(Unreadable::QuotedProtocol(IpProtocol(number)));
    assert_eq!(with(9, 132), protocol(132));
    assert_eq!(with(9, 50), protocol(50));
    // The first octet of the source port is taken for the type of an ICMP message.
    assert_eq!(with(9, 1), protocol(1));
    assert_eq!(with(7, 1), Err(Unreadable::QuotedFragment));
    assert_eq!(with(0, 0x65), Err(Unreadable::Quote));
    assert_eq!(with(12, 10), Err(Unreadable::QuotedSource));
    for len in 0..28 {
        assert_eq!(about(&sent[..len]), Err(Unreadable::Quote), "{len}");
    }
    about(&sent[..28]).unwrap();
    let query = Spec::new(Kind::Query(QueryKind::Reply), pair, b"x").packet();
    assert!(matches!(about(&query), Ok(Packet::Error(_))));
}

#[test]
fn redirects_and_what_has_no_quotation_are_refused() {
    let pair = ends("198.51.100.7:1024", "192.0.2.1:53");
    let sent = Spec::new(Kind::Udp, pair, b"query");
    for kind in [4, 5, 9, 10, 15, 17, 40, 255] {
        let bytes = error_frame(kind, pair.dst.ip(), &sent, 99, &[]);
        assert_eq!(read(&bytes, Offload::NONE), Err(Unreadable::IcmpType(kind)));
    }
    let pair = ends("[2001:db8::7]:1024", "[2001:db8::1]:53");
    let sent = Spec::new(Kind::Udp, pair, b"query");
    for kind in [0, 5, 100, 127, 130, 133, 134, 135, 136, 137, 143, 255] {
        let bytes = error_frame(kind, pair.dst.ip(), &sent, 99, &[]);
        assert_eq!(read(&bytes, Offload::NONE), Err(Unreadable::IcmpType(kind)));
    }
}

#[test]
fn no_quotation_is_read_beyond_its_end() {
    for pair in [
        ends("198.51.100.7:1024", "192.0.2.1:53"),
        ends("[2001:db8::7]:1024", "[2001:db8::1]:53"),
    ] {
        let sent = Spec::new(Kind::Tcp, pair, &[7; 40]);
        let kind = error_types(sent.is_v6())[0];
        let to = ErrorEnds {
            src: pair.dst.ip(),
            quoted: Ends {
                src: pair.dst,
                dst: pair.src,
            },
        };
        for len in 0..sent.packet().len() {
            let mut bytes = error_frame(kind, pair.dst.ip(), &sent, len, &[]);
            // Padding behind the packet, which must stay.
            bytes.extend([0xa5; 9]);
            let outcome =
                with_packet(
                    &mut bytes,
                    Offload::NONE,
                    |frame, parsed, packet| match packet {
                        Packet::Error(error) => rewrite_error(frame, parsed, &error, &to).is_ok(),
                        Packet::Flow(_) | Packet::Later(_) => false,
                    },
                );
            let header_len = header_len(&sent);
            assert_eq!(outcome.is_ok(), len >= header_len + 8, "{len}");
            assert!(bytes.ends_with(&[0xa5; 9]));
            assert!(bytes.len() > LINK_LEN);
        }
    }
}
