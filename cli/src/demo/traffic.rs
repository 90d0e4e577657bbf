//! Real traffic between demo sandboxes: ICMP, UDP and TCP over the kernel's own sockets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recv, sendto, socket, sockopt,
};
use sha2::{Digest, Sha256};
use tapweave_net::checksum;

use super::agent::{Order, Reply, Request};
use super::names;
use super::stopwatch::Stopwatch;

pub(super) const TCP_PORT: u16 = 7001;
const UDP_PORT: u16 = 7002;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one write: as much as a super-frame carries several times over.
const CHUNK_LEN: usize = 256 * 1024;
/// First byte of a TCP connection: what the receiver does with the rest.
const HASH: u8 = b'h';
const COUNT: u8 = b'c';
const INTRODUCE: u8 = b'i';
/// What the receiver answers: bytes received (8), then their SHA-256, or zeroes.
const ANSWER_LEN: usize = 8 + 32;
/// What an IPv4 header without options has; a raw socket receives it too.
const IPV4_HEADER_LEN: usize = 20;

/// Starts the servers of a sandbox: TCP bytes are hashed, UDP datagrams are echoed.
pub(super) fn serve() -> Result<()> {
    let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, TCP_PORT)).context("cannot serve TCP")?;
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, UDP_PORT)).context("cannot serve UDP")?;
    thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            // A transfer that breaks off is reported by its sender.
            thread::spawn(move || drop(receive(stream)));
        }
    });
    thread::spawn(move || {
        let mut buf = vec![0; 65_536];
        while let Ok((len, from)) = udp.recv_from(&mut buf) {
            // Whoever asked has gone: nothing to answer.
            let _ignored = udp.send_to(buf.get(..len).unwrap_or_default(), from);
        }
    });
    Ok(())
}

/// Does what the demo asked for, until that is done or, if it goes on, until `finish`. Only a request to finish has no
/// reply.
pub(super) fn work(order: &Order, finish: &AtomicBool) -> Result<Option<Reply>> {
    let resolver = order.resolver;
    let find = |to: &str| names::address_of(to, resolver);
    let reply = match order.request {
        Request::Finish => {
            finish.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        Request::Ping { ref to, count } => ping(find(to)?, count, SendFlags::empty()),
        Request::Reach { to } => match ping(to, 1, SendFlags::DONTROUTE) {
            Ok(reply) => Ok(reply),
            Err(_no_neighbour) => Ok(Reply {
                sent: 1,
                ..Reply::default()
            }),
        },
        Request::PingEach { ref to } => ping_each(to),
        Request::LookUp { ref names } => look_up(names, resolver),
        Request::Introduce { ref to, port } => introduce(SocketAddrV4::new(find(to)?, port)),
        Request::UdpEcho { ref to, count, len } => udp_echo(find(to)?, count, len),
        Request::TcpHash { ref to, len } => tcp_hash(find(to)?, |sent| sent < len),
        Request::TcpHashOn { ref to } => {
            tcp_hash(find(to)?, |_sent| !finish.swap(false, Ordering::Relaxed))
        }
        Request::TcpFlood {
            ref to,
            streams,
            millis,
        } => tcp_flood(find(to)?, streams, Duration::from_millis(millis)),
    };
    reply.map(Some)
}

fn ping(to: Ipv4Addr, count: u16, flags: SendFlags) -> Result<Reply> {
    let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))
        .context("cannot open an ICMP socket")?;
    sockopt::set_socket_timeout(&raw, sockopt::Timeout::Recv, Some(ANSWER_TIMEOUT))?;
    let mut reply = Reply {
        sent: count.into(),
        intact: true,
        ..Reply::default()
    };
    let mut round_trips = Vec::new();
    for sequence in 0..count {
        let request = echo_request(sequence);
        let stopwatch = Stopwatch::start();
        sendto(&raw, &request, flags, &SocketAddr::from((to, 0)))?;
        if echo_answered(&raw, &request)? {
            reply.received += 1;
            round_trips.push(stopwatch.elapsed());
        }
    }
    reply.rtt_us = median_us(round_trips);
    Ok(reply)
}

/// Counts who answers within the usual time.
fn ping_each(to: &[Ipv4Addr]) -> Result<Reply> {
    let pings = to.iter().map(|&to| {
        thread::spawn(move || ping(to, 1, SendFlags::empty()).map(|reply| reply.received))
    });
    let pings: Vec<JoinHandle<Result<u64>>> = pings.collect();
    let mut reply = Reply {
        sent: to.len() as u64,
        ..Reply::default()
    };
    for ping in pings {
        reply.received += ping.join().map_err(|_panic| anyhow!("a ping failed"))??;
    }
    Ok(reply)
}

fn look_up(names: &[String], resolver: Option<IpAddr>) -> Result<Reply> {
    let resolver = resolver.context("there is nobody to ask for names")?;
    let found = names.iter().map(|name| names::look_up(name, resolver));
    Ok(Reply {
        addresses: found.collect::<Result<_>>()?,
        intact: true,
        ..Reply::default()
    })
}

fn introduce(to: SocketAddrV4) -> Result<Reply> {
    let mut stream = connect(to, INTRODUCE)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (server, client) = answer
        .split_once(' ')
        .context("the server is another one")?;
    Ok(Reply {
        server: Some(server.parse()?),
        client: Some(client.parse()?),
        intact: true,
        ..Reply::default()
    })
}

/// Builds an ICMP echo request (RFC 792) with a payload that fills a usual ping.
fn echo_request(sequence: u16) -> [u8; 64] {
    let mut message = [0x5a; 64];
    let [high, low] = sequence.to_be_bytes();
    message[..8].copy_from_slice(&[8, 0, 0, 0, 0x74, 0x77, high, low]);
    let sum = checksum::Sum::of(&message).checksum();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// Waits for the reply to `request`; other ICMP messages pass by.
fn echo_answered(raw: &impl std::os::fd::AsFd, request: &[u8]) -> Result<bool> {
    let mut buf = [0; 256];
    loop {
        let len = match recv(raw, &mut buf, RecvFlags::empty()) {
            Ok((len, _)) => len,
            Err(rustix::io::Errno::AGAIN) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let message = buf.get(IPV4_HEADER_LEN..len).unwrap_or_default();
        // Type 0 is the reply; identifier, sequence and payload come back unchanged.
        if message.first() == Some(&0) && message.get(4..) == request.get(4..) {
            return Ok(true);
        }
    }
}

fn udp_echo(to: Ipv4Addr, count: u16, len: usize) -> Result<Reply> {
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    udp.connect((to, UDP_PORT))?;
    udp.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut reply = Reply {
        sent: count.into(),
        intact: true,
        ..Reply::default()
    };
    let mut round_trips = Vec::new();
    let mut payload = vec![0; len];
    let mut answer = vec![0; len + 1];
    for sequence in 0..count {
        payload.fill(sequence.to_le_bytes()[0]);
        let stopwatch = Stopwatch::start();
        udp.send(&payload)?;
        match udp.recv(&mut answer) {
            Ok(got) => {
                reply.received += 1;
                reply.intact &= answer.get(..got) == Some(&payload[..]);
                round_trips.push(stopwatch.elapsed());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    reply.rtt_us = median_us(round_trips);
    Ok(reply)
}

/// Sends chunks as long as it `goes_on` with so many bytes.
fn tcp_hash(to: Ipv4Addr, goes_on: impl Fn(u64) -> bool) -> Result<Reply> {
    let stopwatch = Stopwatch::start();
    let mut stream = connect(SocketAddrV4::new(to, TCP_PORT), HASH)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_LEN];
    let mut byte = 1_u8;
    let mut sent = 0;
    while goes_on(sent) {
        chunk.fill_with(|| {
            byte = byte.wrapping_mul(5).wrapping_add(113);
            byte
        });
        hasher.update(&chunk);
        stream.write_all(&chunk)?;
        sent += CHUNK_LEN as u64;
    }
    let (received, digest) = end_of(stream)?;
    let intact = received == sent && digest == <[u8; 32]>::from(hasher.finalize());
    Ok(Reply {
        sent,
        received,
        seconds: stopwatch.elapsed().as_secs_f64(),
        intact,
        ..Reply::default()
    })
}

fn tcp_flood(to: Ipv4Addr, streams: u8, length: Duration) -> Result<Reply> {
    let stopwatch = Stopwatch::start();
    let flood = move || -> Result<(u64, u64)> {
        let mut stream = connect(SocketAddrV4::new(to, TCP_PORT), COUNT)?;
        let chunk = vec![0; CHUNK_LEN];
        let mut sent = 0;
        while stopwatch.elapsed() < length {
            stream.write_all(&chunk)?;
            sent += CHUNK_LEN as u64;
        }
        let (received, _zeroes) = end_of(stream)?;
        Ok((sent, received))
    };
    let threads: Vec<JoinHandle<Result<(u64, u64)>>> =
        (0..streams).map(|_| thread::spawn(flood)).collect();
    let mut reply = Reply::default();
    for thread in threads {
        let (sent, received) = thread
            .join()
            .map_err(|_panic| anyhow!("a sender failed"))??;
        reply.sent += sent;
        reply.received += received;
    }
    reply.intact = reply.sent == reply.received;
    reply.seconds = stopwatch.elapsed().as_secs_f64();
    Ok(reply)
}

fn connect(to: SocketAddrV4, mode: u8) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&to.into(), ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(TRANSFER_TIMEOUT))?;
    stream.set_write_timeout(Some(TRANSFER_TIMEOUT))?;
    stream.write_all(&[mode])?;
    Ok(stream)
}

/// Ends the sending side and takes the receiver's word for how many bytes came, and which.
fn end_of(mut stream: TcpStream) -> io::Result<(u64, [u8; 32])> {
    stream.shutdown(Shutdown::Write)?;
    let mut count = [0; 8];
    let mut digest = [0; 32];
    stream.read_exact(&mut count)?;
    stream.read_exact(&mut digest)?;
    Ok((u64::from_be_bytes(count), digest))
}

/// Receives until the sender is done and answers with what came.
fn receive(mut stream: TcpStream) -> io::Result<()> {
    let mut mode = [0];
    stream.read_exact(&mut mode)?;
    if mode == [INTRODUCE] {
        return write!(stream, "{} {}", stream.local_addr()?, stream.peer_addr()?);
    }
    let mut hasher = Sha256::new();
    let mut buf = vec![0; CHUNK_LEN];
    let mut count = 0_u64;
    loop {
        let len = stream.read(&mut buf)?;
        if len == 0 {
            break;
        }
        count += len as u64;
        if mode == [HASH] {
            hasher.update(buf.get(..len).unwrap_or_default());
        }
    }
    let digest = if mode == [HASH] {
        hasher.finalize().into()
    } else {
        [0; 32]
    };
    let mut answer = [0; ANSWER_LEN];
    answer[..8].copy_from_slice(&count.to_be_bytes());
    answer[8..].copy_from_slice(&digest);
    stream.write_all(&answer)
}

fn median_us(mut durations: Vec<Duration>) -> Option<f64> {
    durations.sort_unstable();
    durations
        .get(durations.len() / 2)
        .map(|median| median.as_secs_f64() * 1e6)
}
