//! The ring and its readers.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;

use super::*;

fn hub() -> Arc<EventHub> {
    Arc::new(EventHub::new(0xabc))
}

/// Publishes event `number`, at as many seconds, about a network of that name.
fn publish(hub: &EventHub, number: u64) {
    let actor = EventActor::new(format!("id-of-{number}")).with("network", number);
    let time = Duration::from_secs(number);
    hub.publish(time, EventType::Network, EventAction::Created, actor);
}

fn filter(pairs: &[(&str, &str)]) -> EventFilter {
    let mut filter = EventFilter::default();
    for (key, value) in pairs {
        filter.add(key, value).unwrap();
    }
    filter
}

fn everything() -> EventFilter {
    EventFilter::default()
}

async fn number(subscription: &mut Subscription) -> u64 {
    match subscription.next().await {
        Some(Told::Event(event)) => event.id.number,
        other => panic!("not an event: {other:?}"),
    }
}

async fn lag(subscription: &mut Subscription) -> (u64, Option<u64>) {
    match subscription.next().await {
        Some(Told::Lagged(id, lagged)) => (id.number, lagged.missed),
        other => panic!("not a lag: {other:?}"),
    }
}

#[tokio::test]
async fn a_reader_gets_what_happens_from_then_on_in_order() {
    let hub = hub();
    publish(&hub, 1);
    let mut reader = hub.subscribe(Beginning::Now, everything());
    publish(&hub, 2);
    publish(&hub, 3);
    assert_eq!(number(&mut reader).await, 2);
    assert_eq!(number(&mut reader).await, 3);
    let waiting = tokio::spawn(async move { number(&mut reader).await });
    yield_now().await;
    assert!(!waiting.is_finished());
    publish(&hub, 4);
    assert_eq!(waiting.await.unwrap(), 4);
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_it_has_not_seen() {
    let hub = hub();
    for n in 1..=5 {
        publish(&hub, n);
    }
    let after = |number| Beginning::After(EventId { run: 0xabc, number });
    assert_eq!(number(&mut hub.subscribe(after(3), everything())).await, 4);
    assert_eq!(number(&mut hub.subscribe(after(0), everything())).await, 1);
    let mut at_the_end = hub.subscribe(after(5), everything());
    publish(&hub, 6);
    assert_eq!(number(&mut at_the_end).await, 6);
    // Ids of another run, or that nobody was given, say nothing about what was seen.
    for id in [
        EventId { run: 1, number: 3 },
        EventId {
            run: 0xabc,
            number: 7,
        },
    ] {
        let mut reader = hub.subscribe(Beginning::After(id), everything());
        assert_eq!(lag(&mut reader).await, (0, None));
        assert_eq!(number(&mut reader).await, 1);
    }
}

#[tokio::test]
async fn a_slow_reader_learns_how_many_it_has_missed() {
    let hub = hub();
    let kept = u64::try_from(KEPT).unwrap();
    let mut slow = hub.subscribe(Beginning::Now, everything());
    for n in 1..=kept + 10 {
        publish(&hub, n);
    }
    assert_eq!(lag(&mut slow).await, (10, Some(10)));
    assert_eq!(number(&mut slow).await, 11);
    // It resumes where it was told that it is.
    let told = EventId {
        run: 0xabc,
        number: 10,
    };
    let mut again = hub.subscribe(Beginning::After(told), everything());
    assert_eq!(number(&mut again).await, 11);
    assert_eq!(hub.ring().kept.len(), KEPT);
}

#[tokio::test]
async fn a_time_to_begin_with_is_honest_about_what_is_gone() {
    let hub = hub();
    let since = |secs| Beginning::Since(Duration::from_secs(secs));
    for n in 1..=10 {
        publish(&hub, n);
    }
    assert_eq!(number(&mut hub.subscribe(since(4), everything())).await, 4);
    assert_eq!(number(&mut hub.subscribe(since(0), everything())).await, 1);
    for n in 11..=u64::try_from(KEPT).unwrap() + 5 {
        publish(&hub, n);
    }
    let mut gone = hub.subscribe(since(5), everything());
    assert_eq!(lag(&mut gone).await, (5, None));
    assert_eq!(number(&mut gone).await, 6);
    assert_eq!(number(&mut hub.subscribe(since(6), everything())).await, 6);
}

#[tokio::test]
async fn a_time_to_end_with_is_the_last_that_is_told() {
    let hub = hub();
    for n in 1..=10 {
        publish(&hub, n);
    }
    let told = |secs| {
        let reader = hub.subscribe(Beginning::Since(Duration::from_secs(4)), everything());
        reader.until(Duration::from_secs(secs))
    };
    let mut reader = told(6);
    for n in 4..=6 {
        assert_eq!(number(&mut reader).await, n);
    }
    assert_eq!(reader.next().await, None);
    assert_eq!(told(3).next().await, None);
    let mut waiting = told(11);
    for n in 4..=10 {
        assert_eq!(number(&mut waiting).await, n);
    }
    publish(&hub, 11);
    publish(&hub, 12);
    assert_eq!(number(&mut waiting).await, 11);
    assert_eq!(waiting.next().await, None);
}

#[tokio::test]
async fn a_time_of_day_that_was_set_back_hides_nothing_that_happened_since() {
    let hub = hub();
    // The clock was a year ahead from the third to the fourth.
    let ahead = 31_536_000;
    for time in [10, 20, ahead + 30, ahead + 40, 50, 60, 70] {
        publish(&hub, time);
    }
    let at = Duration::from_secs;
    let since = |secs| hub.subscribe(Beginning::Since(at(secs)), everything());
    let mut last_minute = since(55).until(at(65));
    assert_eq!(number(&mut last_minute).await, 6);
    // One that is within is told also after one that is past the end, and ends nothing.
    publish(&hub, 64);
    assert_eq!(number(&mut last_minute).await, 8);
    publish(&hub, ahead);
    assert_eq!(last_minute.next().await, None);
    let mut all = since(15);
    for expected in 2..=9 {
        assert_eq!(number(&mut all).await, expected);
    }
    publish(&hub, 5);
    assert_eq!(number(&mut all).await, 10);
    // That those of the year ahead are gone is said to who asks for what came after, by the clock.
    let kept = u64::try_from(KEPT).unwrap();
    for n in 0..kept {
        publish(&hub, 100 + n);
    }
    let mut gone = since(90);
    assert_eq!(lag(&mut gone).await, (10, None));
    assert_eq!(number(&mut gone).await, 11);
}

#[tokio::test]
async fn a_filter_passes_what_has_one_value_of_each_key() {
    let hub = hub();
    let mut two = hub.subscribe(
        Beginning::Now,
        filter(&[
            ("type", "network"),
            ("network", "2"),
            ("network", "id-of-3"),
        ]),
    );
    let mut none = hub.subscribe(
        Beginning::Now,
        filter(&[("type", "peer"), ("id", "id-of-1")]),
    );
    for n in 1..=200 {
        publish(&hub, n);
    }
    assert_eq!(number(&mut two).await, 2);
    assert_eq!(number(&mut two).await, 3);
    // "id-of-3" begins the id of 30 to 39 too.
    assert_eq!(number(&mut two).await, 30);
    hub.close();
    assert_eq!(none.next().await, None);
}

#[test]
fn keys_and_words_that_no_event_has_are_refused() {
    let mut filter = EventFilter::default();
    let refusal = |filter: &mut EventFilter, key: &str, value: &str| {
        filter.add(key, value).unwrap_err().to_string()
    };
    let key = refusal(&mut filter, "colour", "blue");
    assert!(
        key.starts_with("events are not filtered by \"colour\""),
        "{key}"
    );
    let value = refusal(&mut filter, "type", "networks");
    assert!(
        value.contains("\"networks\"; there are network,"),
        "{value}"
    );
    assert_eq!(filter, EventFilter::default());
}

#[tokio::test]
async fn a_closed_hub_ends_every_reader() {
    let hub = hub();
    let mut reader = hub.subscribe(Beginning::Now, everything());
    let waiting = tokio::spawn(async move { reader.next().await });
    yield_now().await;
    hub.close();
    assert_eq!(waiting.await.unwrap(), None);
    let mut late = hub.subscribe(Beginning::Now, everything());
    assert_eq!(late.next().await, None);
    publish(&hub, 1);
    assert_eq!(hub.counts().into_values().sum::<u64>(), 1);
}
