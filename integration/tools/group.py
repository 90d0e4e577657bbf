"""Listens to groups: IFNAME GROUP... Says `joined` when the kernel has joined all of them, and leaves when
it is ended."""
import signal
import socket
import struct
import sys

index = socket.if_nametoindex(sys.argv[1])
members = []
for group in sys.argv[2:]:
    if ":" in group:
        member = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        request = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", index)
        member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    else:
        member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # struct ip_mreqn of `man 7 ip`.
        request = socket.inet_aton(group) + bytes(4) + struct.pack("=i", index)
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    members.append(member)
print("joined", flush=True)
signal.pause()
