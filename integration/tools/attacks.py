"""Prints attacks of a guarded sandbox as lines of `REASON HEX`, built by scapy.

Arguments: the sandbox's MAC, IPv4 and IPv6 address, then those of another one.
"""
import sys

from scapy.all import (
    ARP, BOOTP, DHCP, IP, TCP, UDP, Dot1AD, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6MLQuery,
    ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_Redirect, ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, LLC, PadN, Raw, SNAP,
)
from scapy.contrib.igmp import IGMP
from scapy.layers.dhcp6 import DHCP6_Advertise

mac, ip, ip6, other_mac, other_ip, other_ip6 = sys.argv[1:]
everybody = "ff:ff:ff:ff:ff:ff"
link_local = "fe80::" + "1234:5678:9abc:def0"
octets = [int(octet, 16) for octet in other_mac.split(":")]
other_link_local = "fe80::%02x%02x:%02xff:fe%02x:%02x%02x" % (
    octets[0] ^ 2, octets[1], octets[2], octets[3], octets[4], octets[5])
all_nodes = dict(dst="ff02::1", hlim=255)

eth = Ether(src=mac, dst=everybody)
v4 = eth / IP(src=ip, dst=other_ip)
v6 = eth / IPv6(src=link_local, **all_nodes)
ra = ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="fd66::") / ICMPv6NDOptSrcLLAddr(lladdr=mac)
pad = [PadN(optdata=b"\0" * 4)]
offer = BOOTP(op=2, yiaddr=other_ip, siaddr=ip) / DHCP(options=[("message-type", "offer"), "end"])


def part(offset, more, nh, payload):
    return IPv6ExtHdrFragment(offset=offset, m=more, nh=nh, id=7) / Raw(bytes(payload))


def checked(packet, source=link_local):
    """The bytes of what stands behind IPv6, with its checksum."""
    return bytes((IPv6(src=source, **all_nodes) / packet).payload)


# Plain attacks.
attacks = [
    ("guard_mac", Ether(src=other_mac, dst=everybody) / IP(src=ip, dst=other_ip) / UDP()),
    ("guard_ethertype", Ether(src=mac, dst=everybody, type=0x88b5) / Raw(b"x" * 46)),
    ("guard_ethertype", Ether(src=mac, dst=everybody, type=0x8035) / Raw(b"x" * 46)),
    ("guard_ipv4", eth / IP(src=other_ip, dst=other_ip) / TCP()),
    ("guard_ipv4", eth / IP(src="169.254.169.254", dst=other_ip) / TCP()),
    ("guard_ipv4", eth / IP(src="0.0.0.0", dst="224.0.0.1") / IGMP(type=0x11)),
    ("guard_ipv6", eth / IPv6(src=other_ip6, dst="ff02::1") / TCP()),
    ("guard_ipv6", eth / IPv6(src=other_link_local, dst="ff02::1") / ICMPv6EchoRequest()),
    ("guard_ipv6", eth / IPv6(src="::", dst="ff02::1", hlim=1) / ICMPv6MLQuery()),
    ("guard_arp", eth / ARP(op=2, hwsrc=mac, psrc=other_ip, hwdst=other_mac, pdst=other_ip)),
    ("guard_arp", eth / ARP(op=1, hwsrc=mac, psrc=other_ip, pdst=other_ip)),
    ("guard_arp", eth / ARP(op=2, hwsrc=other_mac, psrc=ip, pdst=other_ip)),
    ("guard_nd", v6 / ICMPv6ND_NA(tgt=other_ip6, R=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)),
    ("guard_nd", v6 / ICMPv6ND_NA(tgt=other_link_local, R=0, O=1)),
    ("guard_nd", v6 / ICMPv6ND_NS(tgt=other_ip6) / ICMPv6NDOptSrcLLAddr(lladdr=other_mac)),
    ("guard_router", v6 / ra),
    ("guard_router", v6 / ICMPv6ND_Redirect(tgt=link_local, dst=other_ip6)),
    ("guard_dhcp", v4 / UDP(sport=67, dport=68) / offer),
    ("guard_dhcp", v6 / UDP(sport=547, dport=546) / DHCP6_Advertise()),
]

# Evasions.
attacks += [
    # A Router Advertisement behind extension headers of every kind, in and out of order.
    ("guard_router", v6 / IPv6ExtHdrHopByHop(options=pad) / ra),
    ("guard_router", v6 / IPv6ExtHdrDestOpt(options=pad) / ra),
    ("guard_router", v6 / IPv6ExtHdrRouting() / ra),
    ("guard_router", v6 / IPv6ExtHdrHopByHop(options=pad) / IPv6ExtHdrDestOpt(options=pad) / ra),
    ("guard_malformed", v6 / IPv6ExtHdrDestOpt(options=pad, nh=0) / IPv6ExtHdrHopByHop(nh=58) / Raw(checked(ra))),
    # More headers than are walked, and one that nobody knows.
    ("guard_malformed", v6 / IPv6ExtHdrDestOpt(nh=60) / (Raw(bytes([60, 0, 1, 4, 0, 0, 0, 0]) * 8)) / Raw(checked(ra))),
    ("guard_malformed", eth / IPv6(src=link_local, nh=253, **all_nodes) / Raw(bytes([58, 0, 1, 4, 0, 0, 0, 0]) + checked(ra))),
    # In fragments: atomic, first, and a first one that keeps its header chain for the second.
    ("guard_router", v6 / part(0, 0, 58, checked(ra))),
    ("guard_router", v6 / part(0, 1, 58, checked(ra))),
    ("guard_malformed", v6 / part(0, 1, 60, bytes([58, 1, 1, 4, 0, 0, 0, 0]))),
    ("guard_nd", v6 / part(0, 0, 58, checked(ICMPv6ND_NS(tgt=other_ip6)))),
    # Behind one and two tags, and behind a third, which is not looked behind.
    ("guard_router", eth / Dot1Q(vlan=5) / IPv6(src=link_local, **all_nodes) / ra),
    ("guard_router", eth / Dot1AD(vlan=5) / Dot1Q(vlan=6) / IPv6(src=link_local, **all_nodes) / ra),
    ("guard_ethertype", eth / Dot1Q(vlan=5) / Dot1Q(vlan=6) / Dot1Q(vlan=7) / IPv6(src=link_local, **all_nodes) / ra),
    # In LLC/SNAP.
    ("guard_ethertype", Ether(src=mac, dst=everybody, type=90) / LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(code=0x86dd) / IPv6(src=link_local, **all_nodes) / ra),
    # Announcements behind a tag.
    ("guard_arp", eth / Dot1Q(vlan=0) / ARP(op=2, hwsrc=mac, psrc=other_ip, pdst=other_ip)),
    # Neighbor Discovery from nobody that teaches a MAC, or with two of them.
    ("guard_nd", eth / IPv6(src="::", **all_nodes) / ICMPv6ND_NS(tgt=other_ip6) / ICMPv6NDOptSrcLLAddr(lladdr=mac)),
    ("guard_nd", v6 / ICMPv6ND_NA(tgt=link_local) / ICMPv6NDOptDstLLAddr(lladdr=mac) / ICMPv6NDOptDstLLAddr(lladdr=other_mac)),
    # DHCP servers from another port, in a first fragment, behind IP options, and in one too short to tell.
    ("guard_dhcp", v4 / UDP(sport=5000, dport=68) / offer),
    ("guard_dhcp", eth / IP(src=ip, dst=other_ip, flags="MF") / UDP(sport=67, dport=68) / Raw(b"x" * 16)),
    ("guard_dhcp", eth / IP(src=ip, dst=other_ip, options=[b"\x94\x04\0\0"]) / UDP(sport=67, dport=68) / offer),
    ("guard_dhcp", v6 / IPv6ExtHdrDestOpt(options=pad) / UDP(sport=547, dport=546) / DHCP6_Advertise()),
    ("guard_malformed", eth / IP(src=ip, dst=other_ip, proto=17, flags="MF") / Raw(b"\0\x43\0\x44")),
    # A later fragment in another's name, and packets longer than their frame.
    ("guard_ipv4", eth / IP(src=other_ip, dst=other_ip, proto=17, frag=8) / Raw(b"x" * 16)),
    ("guard_malformed", eth / IP(src=ip, dst=other_ip, len=200) / UDP()),
]

for reason, frame in attacks:
    print(reason, bytes(frame).hex())
