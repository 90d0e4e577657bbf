"""Sends many messages by one call, for programs that are run behind this text."""
import ctypes
import sys

libc = ctypes.CDLL(None, use_errno=True)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Header(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_len", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_len", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Message(ctypes.Structure):
    _fields_ = [("header", Header), ("sent_len", ctypes.c_uint)]


def send_all(sender, datagrams):
    """Sends all of them by one call."""
    vectors = [Vector(data, len(data)) for data in datagrams]
    headers = [Header(vectors=ctypes.pointer(vector), vector_count=1) for vector in vectors]
    messages = (Message * len(headers))(*map(Message, headers))
    sent = libc.sendmmsg(sender.fileno(), messages, len(messages), 0)
    if sent != len(messages):
        sys.exit(f"{sent} of {len(messages)} datagrams were sent: errno {ctypes.get_errno()}")
