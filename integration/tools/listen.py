"""Listens at an address that the machine need not have (`man 7 ip`: `IP_FREEBIND`): `listen.py IP PORT`. Prints `ready`,
and accepts nothing until its standard input ends."""
import socket
import sys

IP_FREEBIND = 15

listener = socket.socket()
listener.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen()
print("ready", flush=True)
sys.stdin.read()
