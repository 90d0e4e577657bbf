"""Numbered UDP datagrams in several flows, and answers of the same numbers: `serve IP PORT` answers and
prints what came, and how much of it out of order; `send IP PORT FLOWS` sends until SIGINT and prints how
many, how many answers came and how many of them out of order. Each ends by SIGINT.

Nothing is sent twice, and a flow's datagrams overtake each other only if the switch lets them. Some may
be lost: a sender that nobody holds up is faster than any receiver. The answers matter: the kernel reads
a flow of an interface with several queues from the queue that its answers were last written to."""
import signal
import socket
import struct
import sys
import time

NUMBER = struct.Struct("!HQ")
BURST = 2
PAUSE = 0.001


class Order:
    """How many datagrams came, and how many of them behind a later one of their flow."""

    def __init__(self):
        self.last, self.received, self.late = {}, 0, 0

    def note(self, datagram):
        flow, number = NUMBER.unpack_from(datagram)
        self.received += 1
        if number <= self.last.get(flow, 0):
            self.late += 1
            print(f"flow {flow}: {number} behind {self.last[flow]}", flush=True)
        self.last[flow] = number


def serve(address):
    order = Order()

    def take(flags):
        datagram, sender = here.recvfrom(2048, flags)
        order.note(datagram)
        here.sendto(datagram[: NUMBER.size], sender)

    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        here.bind(address)
        print("ready", flush=True)
        try:
            while True:
                take(0)
        except KeyboardInterrupt:
            pass
        try:
            while True:
                take(socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
    print(f"sum {order.received} {order.late} {len(order.last)}", flush=True)


def send(address, flows):
    sockets = [socket.socket(family(address), socket.SOCK_DGRAM) for _ in range(flows)]
    for peer in sockets:
        peer.connect(address)
    ended, number, padding, order = [], 0, bytes(1000), Order()
    signal.signal(signal.SIGINT, lambda *_: ended.append(True))
    print("ready", flush=True)
    while not ended:
        for _ in range(BURST):
            number += 1
            for flow, peer in enumerate(sockets):
                peer.send(NUMBER.pack(flow, number) + padding)
        for peer in sockets:
            take_answers(peer, order)
        time.sleep(PAUSE)
    print(f"sum {number * flows} {order.received} {order.late}", flush=True)


def take_answers(peer, order):
    try:
        while True:
            order.note(peer.recv(2048, socket.MSG_DONTWAIT))
    except BlockingIOError:
        pass


def family(address):
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


if __name__ == "__main__":
    where = (sys.argv[2], int(sys.argv[3]))
    if sys.argv[1] == "serve":
        serve(where)
    else:
        send(where, int(sys.argv[4]))
