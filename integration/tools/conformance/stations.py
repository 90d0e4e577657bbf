"""Speaks raw packets with a translator from several namespaces at once, without any help of their kernels.

The only argument is JSON: {"stations": {NAME: {"netns": PATH, "next_hop": MAC, "v4": [IP…], "v6": [IP…]}},
"exceptions": [CHECK…]}, with the names of the checks that are to fail;
the stations are `a` and `b` inside, `server` (two addresses) and `client` outside, each with an interface
eth0, whose kernels must not answer what they hear.

A *check* is a function that gets a `View`, one address family, and raises `Failed` if something is not as
it should be. Every packet that a check receives has right checksums, or the check fails."""
import ctypes
import json
import os
import random
import socket
import sys
import time

from scapy.all import (
    ICMP, IP, TCP, UDP, Ether, ICMPerror, ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
    ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPerror, IPerror6, IPv6, IPv6ExtHdrFragment, Raw, TCPerror,
    UDPerror, fragment, fragment6,
)

ETH_P_ALL, CLONE_NEWNET = 3, 0x40000000
# Seconds that a packet may take that should come, that one is awaited in a check that is to fail, and that one
# is awaited that should not come.
AT_LAST, SOON, NEVER = 20.0, 1.0, 0.15
checks = []


class Failed(Exception):
    """What a check expected and did not find."""


def check(function):
    """Makes a function one of the checks; its name is that of the requirement and what it says."""
    checks.append(function)
    return function


def expect(holds, what):
    if not holds:
        raise Failed(what)


class Station:
    """An interface in another namespace."""

    def __init__(self, netns, next_hop, v4, v6):
        libc, ours = ctypes.CDLL(None, use_errno=True), os.open("/proc/self/ns/net", os.O_RDONLY)
        theirs = os.open(netns, os.O_RDONLY)
        for namespace in (theirs, ours):
            if libc.setns(namespace, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), netns)
            if namespace == theirs:
                self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("eth0", ETH_P_ALL))
        mac = self.socket.getsockname()[4]
        self.header = Ether(src=":".join(f"{octet:02x}" for octet in mac), dst=next_hop)
        self.addresses = {"v4": v4, "v6": v6}

    def send(self, packet):
        self.socket.send(bytes(self.header / packet))

    def heard(self, until):
        """Packets that come in, one after the other, until that time."""
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, (_, _, kind, *_) = self.socket.recvfrom(1 << 17)
            except TimeoutError:
                return
            if kind != socket.PACKET_OUTGOING:
                yield Ether(frame)

    def forget(self):
        """Passes over what has come in so far."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(1 << 17)
        except BlockingIOError:
            pass


class Host:
    """One address of a station."""

    patience = AT_LAST

    def __init__(self, station, ip):
        self.station, self.ip = station, ip
        self.layer = IPv6 if ":" in ip else IP

    def send(self, to, payload, **fields):
        packet = self.layer(src=self.ip, dst=to, **fields) / payload
        self.station.send(packet)
        return packet

    def send_raw(self, packet):
        self.station.send(packet)

    def receive(self, kind, patience=None, **fields):
        """The next packet for this address that has a layer `kind` with these fields, or None."""
        for packet in self.station.heard(time.monotonic() + (patience or self.patience)):
            if self.layer not in packet or packet[self.layer].dst != self.ip:
                continue
            ip = packet[self.layer]
            # A quoted packet is of no layer but its own.
            if kind in ip and all(getattr(ip[kind], name) == value for name, value in fields.items()):
                right_checksums(ip)
                return ip
        return None

    def must_receive(self, what, kind, **fields):
        packet = self.receive(kind, **fields)
        expect(packet is not None, f"{self.ip} did not get {what}")
        return packet

    def must_not_receive(self, what, kind, **fields):
        packet = self.receive(kind, NEVER, **fields)
        expect(packet is None, f"{self.ip} got {what}: {packet and packet.summary()}")


def right_checksums(ip):
    """Requires that a packet has the checksums that it would have if it were built anew."""
    anew = ip.copy()
    layers = [layer for layer in (IP, TCP, UDP, ICMP) if layer in anew]
    for layer in layers:
        if not (layer is UDP and ip[layer].chksum == 0 and IP in ip):
            del anew[layer].chksum
    whole = IP not in ip or (ip[IP].frag == 0 and not ip[IP].flags.MF)
    if not whole:
        layers = [IP]
    again = type(ip)(bytes(anew))
    for layer in layers:
        if layer in again:
            expect(again[layer].chksum == ip[layer].chksum, f"a wrong {layer.__name__} checksum: {ip.summary()}")


class View:
    """One address family: who is where, and the words that differ."""

    def __init__(self, stations, family):
        self.family = family
        self.is_v4 = family == "v4"
        addresses = lambda name: stations[name].addresses[family]
        self.a, self.b = (Host(stations[name], addresses(name)[0]) for name in "ab")
        self.server, self.alias = (Host(stations["server"], ip) for ip in addresses("server"))
        self.client = Host(stations["client"], addresses("client")[0])
        self.hosts = [self.a, self.b, self.server, self.client]

    def forget(self):
        for host in self.hosts:
            host.station.forget()

    def ip(self, source, destination, **fields):
        return (IP if self.is_v4 else IPv6)(src=source, dst=destination, **fields)

    def error_layer(self):
        return IPerror if self.is_v4 else IPerror6

    def echo(self, id, seq=1, data=b"ping"):
        if self.is_v4:
            return ICMP(type="echo-request", id=id, seq=seq) / Raw(data)
        return ICMPv6EchoRequest(id=id, seq=seq, data=data)

    def echo_kind(self):
        return dict(kind=ICMP, type=8) if self.is_v4 else dict(kind=ICMPv6EchoRequest)

    def reply_to(self, request):
        """The answer of whoever got this echo request."""
        if self.is_v4:
            return ICMP(type="echo-reply", id=request[ICMP].id, seq=request[ICMP].seq) / Raw(b"ping")
        asked = request[ICMPv6EchoRequest]
        return ICMPv6EchoReply(id=asked.id, seq=asked.seq, data=asked.data)

    def reply_kind(self):
        return dict(kind=ICMP, type=0) if self.is_v4 else dict(kind=ICMPv6EchoReply)

    def echo_id(self, packet):
        return packet[ICMP].id if self.is_v4 else packet.lastlayer().id

    def unreachable(self, about):
        """Port unreachable about a packet, quoting as much as is usual."""
        quote = Raw(bytes(about)[:548])
        return ICMP(type=3, code=3) / quote if self.is_v4 else ICMPv6DestUnreach(code=4) / quote

    def unreachable_kind(self):
        return dict(kind=ICMP, type=3) if self.is_v4 else dict(kind=ICMPv6DestUnreach)

    def too_big(self, about, mtu):
        quote = Raw(bytes(about)[:548])
        if self.is_v4:
            return ICMP(type=3, code=4, nexthopmtu=mtu) / quote
        return ICMPv6PacketTooBig(mtu=mtu) / quote

    def too_big_kind(self):
        return dict(kind=ICMP, type=3, code=4) if self.is_v4 else dict(kind=ICMPv6PacketTooBig)

    def time_exceeded_kind(self):
        return dict(kind=ICMP, type=11) if self.is_v4 else dict(kind=ICMPv6TimeExceeded)

    def hops(self, count):
        return {"ttl" if self.is_v4 else "hlim": count}

    def hops_of(self, packet):
        return packet.ttl if self.is_v4 else packet.hlim

    def udp_out(self, inner, port, outer, outer_port=7001, data=b"out"):
        """Sends a datagram and returns it as it arrived."""
        inner.send(outer.ip, UDP(sport=port, dport=outer_port) / Raw(data))
        return outer.must_receive("a datagram from inside", UDP, dport=outer_port)

    def udp_in(self, outer, outer_port, mapped, data=b"in"):
        outer.send(mapped[0], UDP(sport=outer_port, dport=mapped[1]) / Raw(data))


def mapped(packet):
    """The address and port under which the sender of a packet is seen."""
    layer = TCP if TCP in packet else UDP
    return packet.src, packet[layer].sport


def fresh_port():
    """A port inside that no check has used before."""
    fresh_port.next += 1
    return fresh_port.next


fresh_port.next = random.randrange(20_000, 30_000)
