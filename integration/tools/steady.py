"""One TCP connection at a steady pace. `serve IP PORT` prints `got LENGTH` as it goes and at the end length and
SHA-256; `send IP PORT SEED` sends until SIGTERM and prints the same sum, and on SIGUSR1 `sent LENGTH`."""
import hashlib
import os
import random
import signal
import socket
import sys
import time

CHUNK = 64 << 10
PAUSE = 0.005


def report(length, digest):
    print(f"sum {length} {digest.hexdigest()}", flush=True)


def serve(address):
    with socket.create_server(address, family=family(address)) as listener:
        print("ready", flush=True)
        peer, _ = listener.accept()
    length, digest, told = 0, hashlib.sha256(), 0
    with peer:
        while data := peer.recv(1 << 20):
            length += len(data)
            digest.update(data)
            if length - told >= CHUNK:
                told = length
                print(f"got {length}", flush=True)
        # The sender waits for this, so that its end is the end of all.
        peer.sendall(b"done")
    report(length, digest)


class Sender:
    def __init__(self, seed):
        self.source, self.digest = random.Random(seed), hashlib.sha256()
        self.length, self.is_asked_to_end = 0, False

    def end(self, *_):
        self.is_asked_to_end = True

    def tell(self, *_):
        # Not by print, which must not be called while it is at work.
        os.write(1, f"sent {self.length}\n".encode())

    def run(self, address):
        with socket.create_connection(address, timeout=60) as peer:
            signal.signal(signal.SIGTERM, self.end)
            signal.signal(signal.SIGUSR1, self.tell)
            print("connected", flush=True)
            while not self.is_asked_to_end:
                data = self.source.randbytes(CHUNK)
                self.length += len(data)
                self.digest.update(data)
                peer.sendall(data)
                time.sleep(PAUSE)
            peer.shutdown(socket.SHUT_WR)
            if peer.recv(4) != b"done":
                sys.exit("the receiver did not confirm")
        report(self.length, self.digest)


def family(address):
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


if __name__ == "__main__":
    where = (sys.argv[2], int(sys.argv[3]))
    if sys.argv[1] == "serve":
        serve(where)
    else:
        Sender(int(sys.argv[4])).run(where)
