"""UDP datagrams, none lost: `serve IP PORT` confirms every burst and prints count and SHA-256;
`send IP PORT BURSTS SIZE SEED [gso]` sends bursts of datagrams and waits for each confirmation.
With `gso` a burst is one call with UDP_SEGMENT, so that it may cross the switch as one super-frame.
A burst is eight datagrams, or one of those that are so large that eight would overflow a socket."""
import hashlib
import random
import socket
import struct
import sys

UDP_SEGMENT = 103
END = b"end"


def burst_of(size):
    return 8 if size <= 8192 else 1


def report(count, digest):
    print(f"sum {count} {digest.hexdigest()}", flush=True)


def serve(address):
    count, digest = 0, hashlib.sha256()
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
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
            if count % burst_of(len(data)) == 0:
                here.sendto(struct.pack("!I", count), peer)
    report(count, digest)


def send(address, bursts, size, seed, gso):
    source, count, digest = random.Random(seed), 0, hashlib.sha256()
    with socket.socket(family(address), socket.SOCK_DGRAM) as peer:
        peer.settimeout(3)
        peer.connect(address)
        if gso:
            peer.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        for _ in range(bursts):
            datagrams = [source.randbytes(size) for _ in range(burst_of(size))]
            for data in datagrams:
                digest.update(struct.pack("!I", len(data)) + data)
            for data in [b"".join(datagrams)] if gso else datagrams:
                peer.send(data)
            count += len(datagrams)
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
        send(where, int(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]), "gso" in sys.argv[7:])
