"""Sends frames as they are: IFNAME; lines of `COUNT HEX` on stdin."""
import socket
import sys

sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind((sys.argv[1], 0))
for line in sys.stdin:
    count, data = line.split()
    frame = bytes.fromhex(data)
    for _ in range(int(count)):
        sender.send(frame)
