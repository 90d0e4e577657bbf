//! What people type and read.

use super::*;

#[test]
fn names_and_addresses_are_asked_for_and_shown_in_words() {
    let mut resolver = resolver(World::Closed);
    let mut ask = |text: &str, kind: &str| {
        let query = encode_query(text, kind, 7).unwrap();
        match resolver.handle_query(START, ClientNo(1), Transport::Stream, &query, 9) {
            Step::Answer(_, bytes) => show(&bytes).unwrap(),
            other @ (Step::Ask(_) | Step::Wait | Step::Ignore) => panic!("{other:?}"),
        }
    };
    let web = ask("web", "a");
    assert_eq!((web.status.as_str(), web.authoritative), ("NOERROR", true));
    let [record] = &web.records[..] else {
        panic!("{web:?}")
    };
    assert_eq!((record.name.as_str(), record.kind.as_str()), ("web.", "A"));
    assert_eq!(record.data, "10.0.0.2");
    assert_eq!(ask("10.0.0.2", "PTR").records[0].data, "web.lab.");
    assert_eq!(ask("nobody.lab", "AAAA").status, "NXDOMAIN");
}

#[test]
fn what_cannot_be_asked_is_said() {
    for (text, kind) in [("a..b", "A"), (&"x".repeat(64), "A"), ("web", "B")] {
        assert!(encode_query(text, kind, 7).is_err(), "{text} {kind}");
    }
}
