"""Sends frames each with a random virtio_net_hdr in front: IFNAME COUNT SEED; frames in hex on stdin.

A header begins as one that the kernel makes itself, then some of its fields are set at random. What
the sender's kernel refuses (EINVAL) does not reach the switch; prints how many did."""
import random
import socket
import struct
import sys

SOL_PACKET, PACKET_VNET_HDR = 263, 15
# flags, gso_type, hdr_len, gso_size, csum_start, csum_offset: nothing; a checksum; TCP and UDP to cut.
GOOD = [(0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 34, 16), (1, 1, 54, 200, 34, 16), (1, 5, 42, 200, 34, 6)]
FLAGS = [0, 1, 2, 3, 7, 0xFF]
GSO_TYPES = [0, 1, 3, 4, 5, 0x81, 0x84, 0x85, 0x7F, 0xFF]
SIZES = [0, 1, 2, 8, 13, 14, 20, 34, 50, 54, 60, 200, 1448, 1500, 9000, 0x7FFF, 0xFFFF]
FIELDS = [FLAGS, GSO_TYPES, SIZES, SIZES, SIZES, SIZES]

ifname, count, source = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))
frames = [bytes.fromhex(line) for line in sys.stdin]
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind((ifname, 0))
sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
taken = 0
for _ in range(count):
    good = source.choice(GOOD)
    fields = [source.choice(some) if source.random() < 0.3 else one for one, some in zip(good, FIELDS)]
    header = struct.pack("=BBHHHH", *fields)
    try:
        sender.send(header + source.choice(frames))
        taken += 1
    except OSError:
        pass
print(taken)
