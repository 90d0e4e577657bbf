//! Events as they happen: a stream that ends when the daemon does, or at a time.

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, header};

use super::{Client, ClientError, builder, escaped};
use crate::EventFilter;
use crate::api::{Event, EventId, Lagged};

/// Longest event that is read, in bytes. One of the longest names has a few thousand.
const MAX_EVENT_LEN: usize = 1024 * 1024;

/// Where a stream of events begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventsFrom {
    /// With what happens from now on.
    Now,
    /// At a time: seconds since 1970 with decimals, or as RFC 3339 writes it.
    Time(String),
    /// After an event that was seen.
    After(EventId),
}

/// What a stream of events says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventMessage {
    /// This has happened.
    Event(Event),
    /// Some events were missed.
    Lagged(Lagged),
}

/// Events as they happen.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    client: Client,
    parser: Parser,
}

impl Client {
    /// Listens to what happens and passes `filter`; to the end of the daemon, or until a time that is written as
    /// that of [`EventsFrom::Time`].
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn events(
        &self,
        from: &EventsFrom,
        until: Option<&str>,
        filter: &EventFilter,
    ) -> Result<EventStream, ClientError> {
        let mut pairs: Vec<_> = filter.pairs().collect();
        if let EventsFrom::Time(time) = from {
            pairs.push(("since", time));
        }
        pairs.extend(until.map(|time| ("until", time)));
        let pairs = pairs
            .iter()
            .map(|(key, value)| format!("{key}={}", escaped(value)));
        let pairs: Vec<_> = pairs.collect();
        let path = format!("/v1/events?{}", pairs.join("&"));
        let mut request = builder(&Method::GET, &path);
        request = request.header(header::ACCEPT, "text/event-stream");
        if let EventsFrom::After(id) = from {
            request = request.header("last-event-id", id.to_string());
        }
        let response = self.send(request, Bytes::new()).await?;
        if !response.status().is_success() {
            return Err(self.refusal("GET /v1/events", response).await);
        }
        Ok(EventStream {
            body: response.into_body(),
            client: self.clone(),
            parser: Parser::default(),
        })
    }
}

impl EventStream {
    /// Waits for the next message; `None` when the daemon ends, or the time until which was asked has come. What was not returned when this is
    /// cancelled is returned the next time.
    ///
    /// # Errors
    ///
    /// When the connection breaks or the daemon says something that means nothing to this version.
    pub async fn next(&mut self) -> Result<Option<EventMessage>, ClientError> {
        loop {
            while let Some(block) = self.parser.block() {
                if let Some(message) = message(&block)? {
                    return Ok(Some(message));
                }
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame = frame.map_err(|cause| self.client.broken(cause))?;
            if let Ok(data) = frame.into_data() {
                self.parser.push(&data);
            }
            if self.parser.text.len() > MAX_EVENT_LEN {
                return Err(self.client.broken("an event without end"));
            }
        }
    }
}

/// Cuts a stream into the blocks that blank lines separate.
#[derive(Debug, Default)]
struct Parser {
    text: Vec<u8>,
}

/// The fields of an event that are of interest.
#[derive(PartialEq, Eq, Debug, Default)]
struct Block {
    name: String,
    data: String,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) {
        // The daemon ends lines by LF; whoever is in between may as well say CR LF.
        self.text
            .extend(bytes.iter().copied().filter(|byte| *byte != b'\r'));
    }

    fn block(&mut self) -> Option<Block> {
        let end = self.text.windows(2).position(|pair| pair == b"\n\n")?;
        let text: Vec<u8> = self.text.drain(..end + 2).collect();
        let mut block = Block::default();
        for line in String::from_utf8_lossy(&text).lines() {
            // A line that begins with a colon is a comment: its field has no name.
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut block.name),
                "data" if block.data.is_empty() => value.clone_into(&mut block.data),
                "data" => {
                    block.data.push('\n');
                    block.data.push_str(value);
                }
                _ => {}
            }
        }
        Some(block)
    }
}

fn message(block: &Block) -> Result<Option<EventMessage>, ClientError> {
    if block.data.is_empty() {
        return Ok(None);
    }
    let message = if block.name == "lagged" {
        serde_json::from_str(&block.data).map(EventMessage::Lagged)
    } else {
        serde_json::from_str(&block.data).map(EventMessage::Event)
    };
    message.map(Some).map_err(|source| ClientError::BadAnswer {
        request: "GET /v1/events".to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_however_the_stream_is_cut() {
        let stream = b":\n\nid: 1-1\nevent: network\ndata: {\"a\":\ndata: 1}\n\n: hello\r\ndata:x\r\n\r\ndata: rest";
        let block = |name: &str, data: &str| Block {
            name: name.to_owned(),
            data: data.to_owned(),
        };
        let expected = [
            Block::default(),
            block("network", "{\"a\":\n1}"),
            block("", "x"),
        ];
        for len in 1..stream.len() {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for piece in stream.chunks(len) {
                parser.push(piece);
                while let Some(block) = parser.block() {
                    found.push(block);
                }
            }
            assert_eq!(found, expected, "in pieces of {len}");
        }
    }

    #[test]
    fn a_lag_is_told_from_an_event() {
        let lagged = Block {
            name: "lagged".to_owned(),
            data: r#"{"missed":7}"#.to_owned(),
        };
        let missed = EventMessage::Lagged(Lagged { missed: Some(7) });
        assert_eq!(message(&lagged).unwrap(), Some(missed));
        assert_eq!(message(&Block::default()).unwrap(), None);
        let nonsense = Block {
            name: "network".to_owned(),
            ..lagged
        };
        message(&nonsense).unwrap_err();
    }
}
