"""Bursts of UDP datagrams, none lost, each burst one sendmmsg so that its datagrams stand in the switch's
queue together. `serve IP PORT` confirms every burst and prints count and SHA-256; `send IP PORT SEED`
sends datagrams of 1 to 1472 bytes, some bursts of one size, some with a shorter last one, some mixed."""
import hashlib
import random
import socket
import struct
import sys

MAX_LEN = 1472
BURST = 16
END = b"the end"


def report(count, digest):
    print(f"sum {count} {digest.hexdigest()}", flush=True)


def serve(address):
    count, digest = 0, hashlib.sha256()
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        here.bind(address)
        here.settimeout(20)
        print("ready", flush=True)
        while True:
            data, peer = here.recvfrom(65536)
            if data == END:
                here.sendto(END, peer)
                break
            count += 1
            digest.update(struct.pack("!I", len(data)) + data)
            if count % BURST == 0:
                here.sendto(struct.pack("!I", count), peer)
    report(count, digest)


def lengths(size, source):
    """The lengths of one burst."""
    shape = size % 4
    if shape == 3:
        return [source.randint(1, size) for _ in range(BURST)]
    last = source.randint(1, size) if shape == 2 else size
    return [size] * (BURST - 1) + [last]


def send(address, seed):
    source, count, digest = random.Random(seed), 0, hashlib.sha256()
    with socket.socket(family(address), socket.SOCK_DGRAM) as peer:
        peer.settimeout(3)
        peer.connect(address)
        # IPv6 has 20 bytes less.
        for size in range(1, MAX_LEN + 1 - (20 if ":" in address[0] else 0)):
            datagrams = [source.randbytes(len) for len in lengths(size, source)]
            for data in datagrams:
                digest.update(struct.pack("!I", len(data)) + data)
            send_all(peer, datagrams)
            count += BURST
            confirmed = struct.unpack("!I", peer.recv(64))[0]
            if confirmed != count:
                sys.exit(f"{count} datagrams were sent, {confirmed} confirmed")
        peer.send(END)
        if peer.recv(64) != END:
            sys.exit("the end was not confirmed")
    report(count, digest)


def family(address):
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


if __name__ == "__main__":
    where = (sys.argv[2], int(sys.argv[3]))
    if sys.argv[1] == "serve":
        serve(where)
    else:
        send(where, int(sys.argv[4]))
