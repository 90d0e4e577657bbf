"""One TCP connection. `serve IP PORT` prints length and SHA-256 of what it was sent;
`send IP PORT LENGTH SEED` sends LENGTH bytes and prints the same of them."""
import hashlib
import random
import socket
import sys

CHUNK = 1 << 20


def report(length, digest):
    print(f"sum {length} {digest.hexdigest()}", flush=True)


def serve(address):
    with socket.create_server(address, family=family(address)) as listener:
        print("ready", flush=True)
        peer, _ = listener.accept()
    length, digest = 0, hashlib.sha256()
    with peer:
        while data := peer.recv(CHUNK):
            length += len(data)
            digest.update(data)
        # The sender waits for this, so that its end is the end of all.
        peer.sendall(b"done")
    report(length, digest)


def send(address, length, seed):
    source, digest, left = random.Random(seed), hashlib.sha256(), length
    with socket.create_connection(address, timeout=20) as peer:
        while left > 0:
            data = source.randbytes(min(CHUNK, left))
            peer.sendall(data)
            digest.update(data)
            left -= len(data)
        peer.shutdown(socket.SHUT_WR)
        if peer.recv(4) != b"done":
            sys.exit("the receiver did not confirm")
    report(length, digest)


def family(address):
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


if __name__ == "__main__":
    where = (sys.argv[2], int(sys.argv[3]))
    if sys.argv[1] == "serve":
        serve(where)
    else:
        send(where, int(sys.argv[4]), int(sys.argv[5]))
