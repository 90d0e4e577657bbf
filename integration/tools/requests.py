"""Numbered UDP requests, one after the other, and their answers: `serve IP PORT` answers; `ask IP PORT` asks until
SIGTERM and prints `sum ASKED LOST TWICE`, and after SIGUSR1 `answered NUMBER` for the first request that was made since
and got its answer. A request is not made again: after a moment the next one is made, and an answer may still come."""
import signal
import socket
import struct
import sys
import time

NUMBER = struct.Struct("!Q")
PATIENCE = 0.2
LAST_PATIENCE = 2
PAUSE = 0.001


def family(address):
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def serve(address):
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.bind(address)
        print("ready", flush=True)
        while True:
            request, asker = here.recvfrom(64)
            here.sendto(request, asker)


class Asker:
    def __init__(self, peer):
        self.peer = peer
        self.asked, self.twice, self.open = 0, 0, set()
        self.is_asked_to_end, self.is_asked_to_tell, self.told_from = False, False, None
        signal.signal(signal.SIGTERM, self.end)
        signal.signal(signal.SIGUSR1, self.tell)

    def end(self, *_):
        self.is_asked_to_end = True

    def tell(self, *_):
        self.is_asked_to_tell = True

    def ask(self):
        self.asked += 1
        if self.is_asked_to_tell:
            self.is_asked_to_tell, self.told_from = False, self.asked
        self.open.add(self.asked)
        self.peer.send(NUMBER.pack(self.asked))

    def hear(self, patience):
        """Takes what comes until nothing is open, or for so many seconds."""
        end = time.monotonic() + patience
        while self.open and (left := end - time.monotonic()) > 0:
            self.peer.settimeout(left)
            try:
                (number,) = NUMBER.unpack(self.peer.recv(64))
            except TimeoutError:
                return
            if number not in self.open:
                self.twice += 1
            self.open.discard(number)
            if self.told_from and number >= self.told_from:
                self.told_from = None
                print(f"answered {number}", flush=True)
            if number == self.asked:
                return

    def run(self):
        print("ready", flush=True)
        while not self.is_asked_to_end:
            self.ask()
            self.hear(PATIENCE)
            time.sleep(PAUSE)
        self.hear(LAST_PATIENCE)
        print(f"sum {self.asked} {len(self.open)} {self.twice}", flush=True)


def ask(address):
    with socket.socket(family(address), socket.SOCK_DGRAM) as peer:
        peer.connect(address)
        Asker(peer).run()


if __name__ == "__main__":
    where = (sys.argv[2], int(sys.argv[3]))
    if sys.argv[1] == "serve":
        serve(where)
    else:
        ask(where)
