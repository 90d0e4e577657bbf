//! Servers on the loopback interface: good, dead, lying, truncating.

use std::future::Future;

use tapweave_dns::{
    ClientNo, Limits, NetworkNames, Resolver, Step, Transport, World, Zone, encode_query, show,
};
use tapweave_net::Timestamp;
use tokio::net::TcpListener;
use tokio::runtime;

use super::*;

/// Returns the question that a resolver has for a query of `www.example.com`, and the resolver.
fn question() -> (Question, Resolver<()>) {
    let names = NetworkNames {
        domain: "lab".to_owned(),
        subnets: Vec::new(),
        gateway: Vec::new(),
        host: Vec::new(),
        records: Vec::new(),
        world: World::Forwarded,
    };
    let mut resolver = Resolver::new(Zone::new(&names), Limits::default());
    let query = encode_query("www.example.com", "A", 1).unwrap();
    let now = Timestamp::ZERO;
    match resolver.handle_query(now, ClientNo(1), Transport::Stream, &query, ()) {
        Step::Ask(question) => (question, resolver),
        other @ (Step::Answer(..) | Step::Wait | Step::Ignore) => panic!("{other:?}"),
    }
}

/// Makes an answer of a query: the address 192.0.2.`last`.
fn answer_to(query: &[u8], last: u8) -> Vec<u8> {
    let question_end = query.len() - 11;
    let mut answer = query[..question_end].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    answer
}

/// Starts a server that sends what `reply` makes of each query, and returns its address.
async fn server(reply: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2000];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            for reply in reply(&buffer[..len]) {
                socket.send_to(&reply, from).await.unwrap();
            }
        }
    });
    address
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(test)
}

/// Asks `servers`; returns the last octet of the address that comes of it.
async fn asked(servers: &[SocketAddr], favourite: &Arc<AtomicUsize>) -> Option<u8> {
    let (question, mut resolver) = question();
    let answer = ask(question.clone(), servers.into(), Arc::clone(favourite)).await?;
    let replies = resolver.handle_outcome(Timestamp::ZERO, &question, Some(&answer));
    let shown = show(&replies[0].1).unwrap();
    let (_, last) = shown.records[0].data.rsplit_once('.').unwrap();
    Some(last.parse().unwrap())
}

#[test]
fn a_server_that_refuses_or_is_silent_gives_way_to_the_next_and_is_not_asked_first_again() {
    run(async {
        let silent = server(|_| Vec::new()).await;
        let refusing = server(|query| {
            let mut answer = answer_to(query, 1);
            answer[3] = 0x85;
            vec![answer]
        })
        .await;
        let good = server(|query| vec![answer_to(query, 7)]).await;
        let favourite = Arc::default();
        let servers = [silent, refusing, good];
        assert_eq!(asked(&servers, &favourite).await, Some(7));
        assert_eq!(favourite.load(Ordering::Relaxed), 2);
        assert_eq!(asked(&servers, &favourite).await, Some(7));
        assert_eq!(asked(&[refusing], &Arc::default()).await, None);
        assert_eq!(asked(&[], &Arc::default()).await, None);
    });
}

#[test]
fn what_answers_another_question_is_not_believed() {
    run(async {
        let lying = server(|query| {
            let mut other_id = answer_to(query, 66);
            other_id[0] ^= 1;
            let mut other_name = answer_to(query, 66);
            other_name[13] ^= 1;
            vec![
                other_id,
                other_name,
                b"nonsense".to_vec(),
                answer_to(query, 7),
            ]
        })
        .await;
        assert_eq!(asked(&[lying], &Arc::default()).await, Some(7));
    });
}

#[test]
fn a_truncated_answer_is_asked_for_by_tcp() {
    run(async {
        let truncating = server(|query| {
            let mut answer = answer_to(query, 66);
            answer[2] |= 2;
            vec![answer]
        })
        .await;
        let listener = TcpListener::bind(truncating).await.unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let len = stream.read_u16().await.unwrap();
            let mut query = vec![0; usize::from(len)];
            stream.read_exact(&mut query).await.unwrap();
            let answer = answer_to(&query, 7);
            let len = u16::try_from(answer.len()).unwrap();
            stream.write_u16(len).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        });
        assert_eq!(asked(&[truncating], &Arc::default()).await, Some(7));
    });
}

#[test]
fn a_server_that_lost_the_query_is_sent_it_again() {
    run(async {
        let count = AtomicUsize::new(0);
        let forgetful = server(move |query| {
            if count.fetch_add(1, Ordering::Relaxed) == 0 {
                return Vec::new();
            }
            vec![answer_to(query, 7)]
        })
        .await;
        assert_eq!(asked(&[forgetful], &Arc::default()).await, Some(7));
    });
}
