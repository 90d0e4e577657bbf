"""A DNS server that behaves as the name says that it is asked for.

Arguments: its address, and the IPv4 address that it gives for `who.test`. It prints `ready`, and a line
`dead NAME` for each question that it will not answer.

    who.test      is the second argument
    slow.test     is answered after 750 ms, when the next server would be asked as well
    *.dead.test   is not answered
    liar.test     is answered three times falsely (another id, another name, from another port), then truly,
                  with an address for victim.test that nobody asked for
    rebind.test   is an address in the asking network, and web.red is said to be one outside
    big.test      is truncated in datagrams, and has 100 addresses by TCP
    broken.test   gets a record that is none
    anything else is 192.0.2.1
"""
import socket
import struct
import sys
import threading
import time

address, own = sys.argv[1:]
A, IN = 1, 1


def name(text):
    labels = text.rstrip(".").split(".")
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def asked(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0], query[12:at + 5]


def record(owner, ip, ttl=60):
    return name(owner) + struct.pack(">HHIH", A, IN, ttl, 4) + socket.inet_aton(ip)


def message(query, question, answers, flags=0x8180, id=None, more=()):
    counts = struct.pack(">HHHHH", flags, 1, len(answers), 0, len(more))
    return (id or query[:2]) + counts + question + b"".join(answers) + b"".join(more)


def reply(query, by_stream):
    """The messages that answer, each with whether it is sent from another port."""
    text, kind, question = asked(query)
    if kind != A:
        return [(message(query, question, []), False)]
    if text.endswith("dead.test"):
        print("dead", text, flush=True)
        return []
    if text == "liar.test":
        other = bytes([query[0] ^ 1, query[1]])
        lie = [record(text, "192.0.2.66")]
        elsewhere = name("other.test") + question[-4:]
        victim = [record("victim.test", "192.0.2.66")]
        return [
            (message(query, question, lie, id=other), False),
            (message(query, elsewhere, [record("other.test", "192.0.2.66")]), False),
            (message(query, question, lie), True),
            (message(query, question, [record(text, "192.0.2.1")], more=victim), False),
        ]
    if text == "broken.test":
        return [(message(query, question, [b"\xc0\xff\xff"]), False)]
    if text == "big.test":
        if not by_stream:
            return [(message(query, question, [], flags=0x8380), False)]
        many = [record(text, "192.0.2.%d" % last) for last in range(1, 101)]
        return [(message(query, question, many), False)]
    if text == "rebind.test":
        near = [record(text, "10.211.0.2"), record("web.red", "192.0.2.66")]
        return [(message(query, question, near), False)]
    if text == "slow.test":
        time.sleep(0.75)
    known = record(text, own if text == "who.test" else "192.0.2.1")
    return [(message(query, question, [known]), False)]


def serve_datagram(udp, query, client):
    for answer, from_elsewhere in reply(query, False):
        if from_elsewhere:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind((address, 0))
                other.sendto(answer, client)
        else:
            udp.sendto(answer, client)


def serve_stream(stream):
    with stream, stream.makefile("rb") as queries:
        while len(length := queries.read(2)) == 2:
            for answer, _ in reply(queries.read(int.from_bytes(length, "big")), True):
                stream.sendall(len(answer).to_bytes(2, "big") + answer)


def datagrams(udp):
    while True:
        query, client = udp.recvfrom(4096)
        threading.Thread(target=serve_datagram, args=(udp, query, client), daemon=True).start()


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, 53))
tcp = socket.create_server((address, 53))
threading.Thread(target=datagrams, args=(udp,), daemon=True).start()
print("ready", flush=True)
while True:
    stream, _ = tcp.accept()
    threading.Thread(target=serve_stream, args=(stream,), daemon=True).start()
