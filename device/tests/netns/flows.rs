//! Which queue of an interface the kernel gives a flow to, and what moves it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use tapweave_device::{FileQueue, Interface, Offloading, PortQueue, RECV_BUF_LEN, Received};
use tapweave_net::{Frame, Offload};

use crate::harness::{Place, Test};
use crate::sandbox::{Sandbox, attach, spec};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "what_is_written_to_the_outlet_moves_no_flow",
    place: Place::Outside,
    run: what_is_written_to_the_outlet_moves_no_flow,
}];

/// Opens 32 UDP sockets, and sends something by each whenever it is told to.
const SENDER: &str = r#"
for _ in {1..32}; do exec {fd}<>/dev/udp/10.9.0.9/7; fds+=($fd); done
while read; do for fd in "${fds[@]}"; do echo x >&$fd; done; echo sent; done
"#;

/// Where the Ethernet, IPv4 and UDP headers have what stands for the direction.
const ETHER_TYPE: usize = 12;
const IP_PROTOCOL: usize = 23;
const SRC_IP: usize = 26;
const SRC_PORT: usize = 34;
const PAYLOAD: usize = 42;

struct Sender {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// By the port of the sandbox: the queue that a flow was in, and its datagram.
type Flows = BTreeMap<[u8; 2], (usize, Vec<u8>)>;

impl Sender {
    fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.command("bash");
        command.args(["-c", SENDER]).stdin(Stdio::piped());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    fn send(&mut self, interface: &Interface) -> Flows {
        self.input.write_all(b"\n").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "sent\n");
        let mut flows = Flows::new();
        let mut buf = vec![0; RECV_BUF_LEN];
        for (number, queue) in interface.queues.iter().enumerate() {
            while let Received::Frame(frame) = queue.recv(&mut buf).unwrap() {
                let data = frame.data();
                let is_udp = data[ETHER_TYPE..].starts_with(&[8, 0]) && data[IP_PROTOCOL] == 17;
                if is_udp && data[SRC_PORT + 2..].starts_with(&[0, 7]) {
                    let port = [data[SRC_PORT], data[SRC_PORT + 1]];
                    flows.insert(port, (number, data.to_vec()));
                }
            }
        }
        assert_eq!(flows.len(), 32);
        flows
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Sends the datagrams back by `queue`.
fn answer(flows: &Flows, queue: &FileQueue) {
    for (_, datagram) in flows.values() {
        let mut data = datagram.clone();
        // Checksums are sums: they do not change with the order.
        data[..ETHER_TYPE].rotate_left(6);
        data[SRC_IP..SRC_PORT].rotate_left(4);
        data[SRC_PORT..SRC_PORT + 4].rotate_left(2);
        assert!(data.len() > PAYLOAD);
        queue
            .send(&mut Frame::new(&mut data, 0, Offload::NONE))
            .unwrap();
    }
}

fn moved(before: &Flows, after: &Flows) -> usize {
    let both = before.values().zip(after.values());
    both.filter(|((one, _), (other, _))| one != other).count()
}

fn what_is_written_to_the_outlet_moves_no_flow() {
    let sandbox = Sandbox::with_user_namespace();
    let mut spec = spec("10.9.0.2/24");
    spec.queue_count = 4;
    spec.offloading = Offloading::Off;
    let interface = attach(&sandbox, &spec);
    sandbox.ip("neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev eth0");
    let mut sender = Sender::start(&sandbox);
    let flows = sender.send(&interface);
    answer(&flows, interface.outlet.as_ref().unwrap());
    let by_outlet = sender.send(&interface);
    assert_eq!(moved(&flows, &by_outlet), 0);
    answer(&flows, &interface.queues[2]);
    let by_queue = sender.send(&interface);
    assert!(by_queue.values().all(|(queue, _)| *queue == 2));
}
