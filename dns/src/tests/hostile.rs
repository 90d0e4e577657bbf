//! Queries that are none.

use super::*;
use crate::fuzzing;

#[track_caller]
fn reply_to(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut resolver = resolver(World::Forwarded);
    match resolver.handle_query(START, ClientNo(1), UDP, bytes, 9) {
        Step::Answer(_, bytes) => Some(bytes),
        Step::Ignore => None,
        other @ (Step::Ask(_) | Step::Wait) => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_query_gets_no_answer() {
    let query = query("web.lab.", RecordType::A).to_vec().unwrap();
    for len in 0..12 {
        assert_eq!(reply_to(&query[..len]), None);
    }
    let mut response = query;
    response[2] |= 0x80;
    assert_eq!(reply_to(&response), None);
}

#[test]
fn what_cannot_be_read_is_called_malformed() {
    let query = query("web.lab.", RecordType::A).to_vec().unwrap();
    for len in 12..query.len() {
        let reply = reply_to(&query[..len]).unwrap();
        assert_eq!(reply, [0x12, 0x34, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    let mut questions = query.clone();
    questions[4..6].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(reply_to(&questions).unwrap()[3], 0x81);
    // A name that points to itself.
    let mut circle = query.clone();
    circle[12..14].copy_from_slice(&[0xc0, 12]);
    assert_eq!(reply_to(&circle).unwrap()[3], 0x81);
    let mut update = query;
    update[2] |= 5 << 3;
    assert_eq!(reply_to(&update).unwrap()[2..4], [0x80 | 5 << 3 | 1, 0x84]);
}

proptest! {
    #[test]
    fn nothing_that_comes_is_answered_wrongly(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::check(&data);
    }

    /// Mostly valid queries and answers, changed in a few places.
    #[test]
    fn nothing_that_is_almost_right_is_answered_wrongly(
        is_local: bool,
        changes in prop::collection::vec((0_usize..120, any::<u8>()), 0..6),
    ) {
        let text = if is_local { "web.lab." } else { "www.example.com." };
        let mut asked = query(text, RecordType::A);
        asked.edns = Some(Edns::new());
        let query = asked.to_vec().unwrap();
        let mut data = vec![u8::try_from(query.len()).unwrap()];
        data.extend(&query);
        data.extend([0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        data.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        for (place, value) in changes {
            if let Some(byte) = data.get_mut(place) {
                *byte = value;
            }
        }
        fuzzing::check(&data);
    }
}
