"""UDP datagrams that a switch must not merge, among others that it may.

`send IFNAME SRC_MAC DST_MAC SRC_IP DST_IP SRC_IP6 DST_IP6` sends bursts of raw frames, each burst by one
sendmmsg and confirmed; `serve` prints how many datagrams the kernel refused for their checksum, and for
every flow (source port) count and SHA-256 of what a socket got, in order."""
import hashlib
import socket
import struct
import sys

PORT = 9000
BURST_COUNT = 20
SYNC = b"are you there"
END = b"the end"


def serve():
    before = errors()
    digests, counts = {}, {}
    here = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    here.bind(("::", PORT))
    print("ready", flush=True)
    here.settimeout(20)
    while True:
        data, peer = here.recvfrom(65536)
        if data in (SYNC, END):
            here.sendto(data, peer)
            if data == END:
                break
            continue
        flow = (peer[1], "v4" if peer[0].startswith("::ffff:") else "v6")
        digests.setdefault(flow, hashlib.sha256()).update(struct.pack("!I", len(data)) + data)
        counts[flow] = counts.get(flow, 0) + 1
    flows = [f"{port} {ip} {counts[port, ip]} {digests[port, ip].hexdigest()}" for port, ip in sorted(digests)]
    print("sum", "; ".join([f"{errors() - before} refused", *flows]), flush=True)


def errors():
    """Datagrams that were refused for their checksum, of both families."""
    with open("/proc/thread-self/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Udp:")]
    with open("/proc/thread-self/net/snmp6") as file:
        v6 = dict(line.split() for line in file)
    return int(values[names.index("InCsumErrors")]) + int(v6["Udp6InCsumErrors"])


class Sender:
    """Builds frames with scapy and sends them in bursts."""

    def __init__(self, ifname, src, dst, src_ip, dst_ip, src_ip6, dst_ip6):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind((ifname, 0))
        self.sync = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sync.settimeout(3)
        self.sync.connect((dst_ip, PORT))
        self.ether = Ether(src=src, dst=dst)
        self.v4 = IP(src=src_ip, dst=dst_ip, flags="DF")
        self.v6 = IPv6(src=src_ip6, dst=dst_ip6)
        self.number = 0

    def frame(self, flow, ip, ether=None, size=40):
        self.number += 1
        payload = (b"%08d" % self.number * 200)[:size]
        packet = (ether or self.ether) / ip / UDP(sport=flow, dport=PORT) / payload
        return raw(packet)

    def plain(self, flow, count=4):
        """Frames that may be merged."""
        return [self.frame(flow, self.v4) for _ in range(count)]

    def plain6(self, flow, count=4):
        return [self.frame(flow, self.v6) for _ in range(count)]

    def among(self, flow, odd):
        return self.plain(flow) + odd + self.plain(flow)

    def among6(self, flow, odd):
        return self.plain6(flow) + odd + self.plain6(flow)

    def fragments(self, flow):
        number = self.number = self.number + 1
        whole = IP(src=self.v4.src, dst=self.v4.dst, id=number & 0xFFFF)
        whole = whole / UDP(sport=flow, dport=PORT) / (b"%08d" % number * 200)
        return [raw(self.ether / part) for part in fragment(IP(raw(whole)), 800)]

    def fragments6(self, flow):
        number = self.number = self.number + 1
        whole = IPv6(src=self.v6.src, dst=self.v6.dst) / IPv6ExtHdrFragment(id=number)
        whole = whole / UDP(sport=flow, dport=PORT) / (b"%08d" % number * 200)
        return [raw(self.ether / part) for part in fragment6(IPv6(raw(whole)), 900)]

    def bursts(self):
        """One burst for each quirk; the flow's number tells which, should one fail."""
        v4, v6, l4 = self.v4, self.v6, 34
        yield self.among(1, [flipped(self.frame(1, v4), -1)])  # wrong checksum
        yield self.among(2, [zeroed(self.frame(2, v4), l4 + 6)])  # no checksum
        yield self.among(3, self.fragments(3))
        yield self.among(4, [self.frame(4, v4, size=10) + bytes(8)])  # padded
        yield self.among(5, [self.frame(5, IP(src=v4.src, dst=v4.dst, flags="DF", options=[IPOption_RR()]))])
        yield self.among(6, [self.frame(6, IP(src=v4.src, dst=v4.dst, flags="DF", tos=0x20))])
        yield self.among(7, [self.frame(7, IP(src=v4.src, dst=v4.dst, flags="DF", ttl=9))])
        yield self.among(8, [flipped(self.frame(8, v4), 24)])  # wrong IPv4 header checksum
        yield self.among(9, [flipped(self.frame(9, v4), l4 + 5)])  # lengths that do not agree
        yield self.among(10, [self.frame(10, v4, size=0)])
        yield self.among(11, [self.frame(11, IP(src=v4.src, dst=v4.dst, id=7)) for _ in range(3)])
        tagged = self.ether / Dot1Q(vlan=0)  # a priority tag, which the kernel takes off
        yield self.among(12, [self.frame(12, v4, tagged) for _ in range(3)])
        yield [self.frame(flow, v4) for _ in range(8) for flow in (13, 14, 15)]
        yield [self.frame(16, v4, size=size) for size in (100, 100, 60, 100, 100, 200, 1, 1472, 1472)]
        yield self.among6(17, [flipped(self.frame(17, v6), -1)])
        yield self.among6(18, [zeroed(self.frame(18, v6), 60)])  # forbidden in IPv6
        yield self.among6(19, self.fragments6(19))
        yield self.among6(20, [self.frame(20, v6, size=10) + bytes(8)])
        yield self.among6(21, [self.frame(21, v6 / IPv6ExtHdrDestOpt())])
        yield self.among6(22, [self.frame(22, IPv6(src=v6.src, dst=v6.dst, tc=0x20))])
        yield self.among6(23, [self.frame(23, IPv6(src=v6.src, dst=v6.dst, fl=9))])
        yield self.among6(24, [self.frame(24, IPv6(src=v6.src, dst=v6.dst, hlim=9))])
        yield [frame for _ in range(6) for frame in (self.plain(25, 1)[0], self.plain6(25, 1)[0])]

    def run(self):
        for _ in range(BURST_COUNT):
            for burst in self.bursts():
                send_all(self.socket, burst)
                self.confirm(SYNC)
        self.confirm(END)

    def confirm(self, word):
        """Waits until everything before has been received."""
        self.sync.send(word)
        if self.sync.recv(64) != word:
            sys.exit("nothing was confirmed")


def flipped(frame, at):
    frame = bytearray(frame)
    frame[at] ^= 0x01
    return bytes(frame)


def zeroed(frame, at):
    return frame[:at] + bytes(2) + frame[at + 2 :]


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        from scapy.all import IP, UDP, Dot1Q, Ether, IPOption_RR, IPv6, IPv6ExtHdrDestOpt
        from scapy.all import IPv6ExtHdrFragment, fragment, fragment6, raw

        Sender(*sys.argv[2:]).run()
