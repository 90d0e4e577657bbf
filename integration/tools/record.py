"""Records what comes in at an interface, frame by frame: IFNAME FILE ETHERTYPE (3 for all).

tcpdump would do, but it insists on changing its uid, which a user namespace refuses. SIGINT ends it;
then it tells how many frames the kernel had to leave out."""
import select
import signal
import socket
import struct
import sys
import time

SOL_PACKET, PACKET_STATISTICS, PACKET_AUXDATA, PACKET_OUTGOING = 263, 6, 8, 4
# linux/if_packet.h: struct tpacket_auxdata, and its status when the kernel took a VLAN tag out.
AUXDATA, TP_STATUS_VLAN_VALID = struct.Struct("=IIIHHHH"), 1 << 4

ifname, path, ether_type = sys.argv[1], sys.argv[2], int(sys.argv[3])
source = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
source.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
source.bind((ifname, ether_type))

# SIGINT ends the waiting only: raised as an exception it could fall between reading a frame and writing it.
ended, wakeup = socket.socketpair()
wakeup.setblocking(False)
signal.set_wakeup_fd(wakeup.fileno())
signal.signal(signal.SIGINT, lambda *_: None)


def whole(frame, ancillary):
    """The frame as it came in: the kernel takes the outer VLAN tag out and tells it beside."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tci, tpid = AUXDATA.unpack(data[: AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


with open(path, "wb", buffering=0) as file:
    file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))

    def take_all():
        try:
            while True:
                frame, ancillary, _, (_, _, kind, *_) = source.recvmsg(262144, 64, socket.MSG_DONTWAIT)
                if kind != PACKET_OUTGOING:
                    frame = whole(frame, ancillary)
                    microseconds = time.time_ns() // 1000
                    when = divmod(microseconds, 1000000)
                    file.write(struct.pack("=IIII", *when, len(frame), len(frame)) + frame)
        except BlockingIOError:
            pass

    print("recording", flush=True)
    while ended not in select.select([source, ended], [], [])[0]:
        take_all()
    take_all()
received, lost = struct.unpack("=II", source.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
print(f"{lost} frames lost of {received}", flush=True)
