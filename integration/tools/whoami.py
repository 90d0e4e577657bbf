"""Tells clients which address they have. `serve IP[,IP…] PORT[-END]` answers every line (TCP) and every
datagram (UDP) with the client's address and port; `ask tcp|udp IP PORT SOURCE_PORT SECONDS` prints the answer."""
import selectors
import socket
import sys


def family(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def bound(kind, ip, port):
    here = socket.socket(family(ip), kind)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    here.bind((ip, port))
    return here


def told(peer):
    return f"{peer[0]} {peer[1]}\n".encode()


def serve(ips, ports):
    events = selectors.DefaultSelector()

    def accept(listener):
        peer, _ = listener.accept()
        events.register(peer, selectors.EVENT_READ, answer_line)

    def answer_line(peer):
        try:
            if peer.recv(4096):
                peer.sendall(told(peer.getpeername()))
                return
        except OSError:
            pass
        events.unregister(peer)
        peer.close()

    def answer_datagram(here):
        _, peer = here.recvfrom(65536)
        here.sendto(told(peer), peer)

    for ip in ips:
        for port in ports:
            listener = bound(socket.SOCK_STREAM, ip, port)
            listener.listen(1024)
            events.register(listener, selectors.EVENT_READ, accept)
            events.register(bound(socket.SOCK_DGRAM, ip, port), selectors.EVENT_READ, answer_datagram)
    print("ready", flush=True)
    while True:
        for key, _ in events.select():
            key.data(key.fileobj)


def ask(protocol, ip, port, source_port, patience):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with bound(kind, "::" if ":" in ip else "0.0.0.0", source_port) as here:
        here.settimeout(patience)
        here.connect((ip, port))
        here.sendall(b"who am I?\n")
        print(here.recv(4096).decode().strip())


def ports(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2].split(","), ports(sys.argv[3]))
    else:
        ask(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6]))
