"""Many TCP connections at once. `serve IP PORT` echoes on all of them; `hold IP PORT COUNT` opens COUNT and
prints `open COUNT`. At each SIGUSR1 it sends a number over every connection, waits for the same numbers and
prints `alive COUNT`: how many brought theirs back."""
import errno
import select
import signal
import socket
import struct
import sys
import time

OUTSTANDING = 500
PATIENCE = 20


def family(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def serve(address):
    listener = socket.create_server(address, family=family(address[0]), backlog=4096)
    listener.setblocking(False)
    poll, peers = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        for fd, _ in poll.poll():
            if fd != listener.fileno():
                try:
                    data = peers[fd].recv(4096)
                    if data:
                        peers[fd].sendall(data)
                        continue
                except OSError:
                    pass
                poll.unregister(fd)
                peers.pop(fd).close()
                continue
            try:
                while True:
                    peer, _ = listener.accept()
                    peers[peer.fileno()] = peer
                    poll.register(peer, select.EPOLLIN)
            except BlockingIOError:
                pass


def connect_all(address, count):
    poll, pending, done, failed = select.epoll(), {}, [], 0
    end = time.monotonic() + PATIENCE
    while len(done) + failed < count and time.monotonic() < end:
        while len(pending) < OUTSTANDING and len(done) + failed + len(pending) < count:
            peer = socket.socket(family(address[0]))
            peer.setblocking(False)
            error = peer.connect_ex(address)
            if error not in (0, errno.EINPROGRESS):
                sys.exit(f"after {len(done)} connections: {errno.errorcode[error]}")
            pending[peer.fileno()] = peer
            poll.register(peer, select.EPOLLOUT)
        for fd, _ in poll.poll(1):
            poll.unregister(fd)
            peer = pending.pop(fd)
            if peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                failed += 1
            else:
                done.append(peer)
    return done


def exchange(peers):
    """How many of the connections bring back the number that was sent over them."""
    poll, waiting = select.epoll(), {}
    for number, peer in enumerate(peers):
        try:
            peer.send(struct.pack("!Q", number))
        except OSError:
            continue
        waiting[peer.fileno()] = number, peer
        poll.register(peer, select.EPOLLIN)
    alive, end = 0, time.monotonic() + PATIENCE
    while waiting and time.monotonic() < end:
        for fd, _ in poll.poll(1):
            number, peer = waiting.pop(fd)
            poll.unregister(fd)
            try:
                alive += peer.recv(64) == struct.pack("!Q", number)
            except OSError:
                pass
    return alive


def hold(address, count):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    peers = connect_all(address, count)
    print(f"open {len(peers)}", flush=True)
    while True:
        signal.sigwait({signal.SIGUSR1})
        print(f"alive {exchange(peers)}", flush=True)


if __name__ == "__main__":
    where = (sys.argv[2], int(sys.argv[3]))
    if sys.argv[1] == "serve":
        serve(where)
    else:
        hold(where, int(sys.argv[4]))
