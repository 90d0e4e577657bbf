"""Sends the resolver what no decent client sends, by scapy, and prints who got what for an answer.

Arguments: the sandbox's own address, the gateway's, and that of another sandbox. A line is `NAME: CODE`, with the
code of the first response, or `-` for none. A question that is answered, sent last, tells that all answers are there.
"""
import sys
import threading
import time

from scapy.all import (
    DNS, DNSQR, DNSRR, DNSRROPT, IP, UDP, AsyncSniffer, Ether, Raw, get_if_hwaddr, getmacbyip, sendp,
)

own, gateway, other = sys.argv[1:]
eth = Ether(src=get_if_hwaddr("eth0"), dst=getmacbyip(gateway))
ports = iter(range(20000, 30000))
names = {}


def packet(name, payload, src=own, sport=None, **ip):
    port = sport or next(ports)
    names[port] = name
    return eth / IP(src=src, dst=gateway, **ip) / UDP(sport=port, dport=53) / payload


def raw(text):
    return Raw(bytes.fromhex(text.replace(" ", "")))


header = "1234 0100 0001 0000 0000 0000"
question = DNSQR(qname="b.red")
whole = bytes(DNS(id=7, qd=question))
packets = [
    # No answer: nothing that could be answered, or no question.
    packet("empty", Raw(b"")),
    packet("half a header", Raw(whole[:11])),
    packet("a response", DNS(id=1, qr=1, qd=question, an=DNSRR(rrname="b.red", rdata="192.0.2.66"))),
    packet("a wrong checksum", DNS(id=1, qd=question)),
    # Malformed.
    packet("no question", DNS(id=1, qd=None)),
    packet("cut", Raw(whole[:-3])),
    packet("65535 questions", Raw(whole[:4] + b"\xff\xff" + whole[6:])),
    packet("65535 records", Raw(whole[:6] + b"\xff\xff" * 3 + whole[12:])),
    packet("a name that points to itself", raw(header + "c00c 0001 0001")),
    packet("names that point to each other", raw(header + "c00e c00c 0001 0001")),
    packet("a name that points past the end", raw(header + "ffff 0001 0001")),
    packet("a label of 64", raw(header + "40" + "61" * 64 + "00 0001 0001")),
    packet("a name of 300", raw(header + ("3f" + "61" * 63) * 5 + "00 0001 0001")),
    packet("two OPT", DNS(id=1, qd=question, ar=DNSRROPT() / DNSRROPT())),
    packet("an OPT with a lie", Raw(bytes(DNS(id=1, qd=question, ar=DNSRROPT()))[:-2] + b"\xff\xff")),
    # Refused, or not implemented.
    packet("a transfer", DNS(id=1, qd=DNSQR(qname="red", qtype=252))),
    packet("another class", DNS(id=1, qd=DNSQR(qname="version.bind", qtype=16, qclass=3))),
    packet("an update", DNS(id=1, opcode=5, qd=DNSQR(qname="red", qtype=6))),
    packet("a notify", DNS(id=1, opcode=4, qd=DNSQR(qname="red", qtype=6))),
    # Answered: strange, but a question.
    packet("a zero byte in a name", raw(header + "03 610062 03 726564 00 0001 0001")),
    packet("a name in capitals", DNS(id=1, qd=DNSQR(qname="B.RED"))),
    packet("bytes behind the end", Raw(whole + b"\xa5" * 900)),
    packet("from port 53", DNS(id=1, qd=question), sport=53),
    packet("with a TTL of 1", DNS(id=1, qd=question), ttl=1),
]
wrong = next(p for p in packets if names[p[UDP].sport] == "a wrong checksum")
wrong[UDP].chksum = 0xDEAD
# Who says that it is somebody else hears nothing, and neither does the other one: answers go back to the port.
forged = [
    packet("as another sandbox", DNS(id=1, qd=question), src=other),
    packet("as the gateway", DNS(id=1, qd=question), src=gateway),
    packet("as everybody", DNS(id=1, qd=question), src="255.255.255.255"),
    packet("as the loopback", DNS(id=1, qd=question), src="127.0.0.1"),
]
fragment = packet("in fragments", Raw(whole + b"\xa5" * 900))
bytes_of = bytes(fragment[UDP])
fragments = [
    eth / IP(src=own, dst=gateway, id=9, proto=17, flags="MF") / Raw(bytes_of[:512]),
    eth / IP(src=own, dst=gateway, id=9, proto=17, frag=64) / Raw(bytes_of[512:]),
]
last = packet("last", DNS(id=1, qd=question))

found = {}


def note(answer):
    if UDP in answer and answer[UDP].sport == 53 and answer[IP].dst == own:
        name = names[answer[UDP].dport]
        found.setdefault(name, []).append(str(answer[UDP].payload.rcode if DNS in answer else "?"))
        return name == "last"
    return False


listening = threading.Event()
sniffer = AsyncSniffer(
    iface="eth0", stop_filter=note, store=False, timeout=20, started_callback=listening.set)
sniffer.start()
listening.wait()
sendp(packets + forged + fragments, iface="eth0", verbose=False)
while sniffer.running and "last" not in found:
    sendp(last, iface="eth0", verbose=False)
    time.sleep(0.1)
for name in dict.fromkeys(names.values()):
    print(name, " ".join(found.get(name, ["-"])[:1]), sep=": ")
