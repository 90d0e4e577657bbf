//! Other servers: one question, asked until somebody answers or the time is over.
//!
//! The server that answered last is asked first. If it says nothing for a moment, the next one is asked as well, and at once
//! when it cannot be reached or refuses; the first good answer counts. So a dead server costs that moment once, and then
//! it is no longer the first. Each datagram goes by a socket of its own, connected to the server: the kernel chooses the
//! port at random and lets nothing else in (RFC 5452 §9.2). A truncated answer is asked for again by TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tapweave_dns::{Answer, Answered, Question};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long one server may be silent before the next one is asked as well.
const PATIENCE: Duration = Duration::from_millis(700);

/// How long a datagram may be unanswered before it is sent again.
const RETRY: Duration = Duration::from_millis(1500);

/// How long all of it may take: less than the five seconds after which the C library asks again.
const DEADLINE: Duration = Duration::from_millis(4500);

/// Returns an answer to a question, `None` when no server gives one. `favourite` is the place of the server that is asked
/// first, and becomes that of the one that answered.
pub(super) async fn ask(
    question: Question,
    servers: Arc<[SocketAddr]>,
    favourite: Arc<AtomicUsize>,
) -> Option<Answer> {
    timeout(DEADLINE, first_answer(question, servers, favourite))
        .await
        .ok()
        .flatten()
}

async fn first_answer(
    question: Question,
    servers: Arc<[SocketAddr]>,
    favourite: Arc<AtomicUsize>,
) -> Option<Answer> {
    let first = favourite.load(Ordering::Relaxed);
    let places = 0..servers.len();
    let mut places = places.map(|place| (place + first) % servers.len());
    let mut under_way = JoinSet::new();
    loop {
        let next = places.next();
        let is_last = next.is_none();
        if let Some(place) = next
            && let Some(server) = servers.get(place).copied()
        {
            let question = question.clone();
            under_way.spawn(async move { (place, exchange(&question, server).await) });
        }
        tokio::select! {
            answered = under_way.join_next() => match answered {
                Some(Ok((place, Ok(Some(answer))))) => {
                    favourite.store(place, Ordering::Relaxed);
                    return Some(answer);
                }
                Some(_failed) => {}
                None if is_last => return None,
                None => {}
            },
            () = sleep(PATIENCE), if !is_last => {}
        }
    }
}

/// Asks one server. `None` when it cannot or will not answer.
async fn exchange(question: &Question, server: SocketAddr) -> io::Result<Option<Answer>> {
    let any = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let id = random_id()?;
    let query = question.encode(id);
    let mut buffer = [0; 4096];
    loop {
        socket.send(&query).await?;
        let Ok(received) = timeout(RETRY, receive(&socket, question, id, &mut buffer)).await else {
            continue;
        };
        return match received? {
            Answered::Answer(answer) => Ok(Some(answer)),
            Answered::Truncated => exchange_by_stream(question, server).await,
            Answered::Failure | Answered::Unrelated => Ok(None),
        };
    }
}

/// Waits for what the server says to the question.
async fn receive(
    socket: &UdpSocket,
    question: &Question,
    id: u16,
    buffer: &mut [u8],
) -> io::Result<Answered> {
    loop {
        let len = socket.recv(buffer).await?;
        match question.read(id, buffer.get(..len).unwrap_or_default()) {
            Answered::Unrelated => {}
            answered @ (Answered::Answer(_) | Answered::Truncated | Answered::Failure) => {
                return Ok(answered);
            }
        }
    }
}

/// Asks one server by TCP (RFC 7766 §8).
async fn exchange_by_stream(question: &Question, server: SocketAddr) -> io::Result<Option<Answer>> {
    let mut stream = TcpStream::connect(server).await?;
    let id = random_id()?;
    let query = question.encode(id);
    let len = u16::try_from(query.len()).map_err(io::Error::other)?;
    // In one segment: some servers expect it.
    let message = [&len.to_be_bytes()[..], &query].concat();
    stream.write_all(&message).await?;
    let len = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(len)];
    stream.read_exact(&mut answer).await?;
    match question.read(id, &answer) {
        Answered::Answer(answer) => Ok(Some(answer)),
        Answered::Truncated | Answered::Failure | Answered::Unrelated => Ok(None),
    }
}

fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    Ok(u16::from_ne_bytes(id))
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
