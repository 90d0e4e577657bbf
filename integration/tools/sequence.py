"""Numbered UDP datagrams in one direction, in several flows: `serve IP PORT` prints what came, and how
much of it out of order; `send IP PORT FLOWS` sends until SIGINT and prints how many. Each ends by SIGINT.

Nothing is confirmed, so nothing is sent twice, and a flow's datagrams overtake each other only if the
switch lets them. Some may be lost: a sender that nobody holds up is faster than any receiver."""
import signal
import socket
import struct
import sys
import time

NUMBER = struct.Struct("!HQ")
BURST = 2
PAUSE = 0.001


def serve(address):
    last, received, late = {}, 0, 0

    def take(flags):
        nonlocal received, late
        flow, number = NUMBER.unpack_from(here.recv(2048, flags))
        received += 1
        if number <= last.get(flow, 0):
            late += 1
            print(f"flow {flow}: {number} behind {last[flow]}", flush=True)
        last[flow] = number

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
    print(f"sum {received} {late} {len(last)}", flush=True)


def send(address, flows):
    sockets = [socket.socket(family(address), socket.SOCK_DGRAM) for _ in range(flows)]
    for peer in sockets:
        peer.connect(address)
    ended, number, padding = [], 0, bytes(1000)
    signal.signal(signal.SIGINT, lambda *_: ended.append(True))
    print("ready", flush=True)
    while not ended:
        for _ in range(BURST):
            number += 1
            for flow, peer in enumerate(sockets):
                peer.send(NUMBER.pack(flow, number) + padding)
        time.sleep(PAUSE)
    print(f"sum {number * flows}", flush=True)


def family(address):
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


if __name__ == "__main__":
    where = (sys.argv[2], int(sys.argv[3]))
    if sys.argv[1] == "serve":
        serve(where)
    else:
        send(where, int(sys.argv[4]))
