# TCP (RFC 5382, RFC 7857 §2).


class Connection:
    """A TCP connection from inside that is played by hand at both ends."""

    def __init__(self, view, inner, outer, outer_port=7001):
        self.view, self.inner, self.outer, self.outer_port = view, inner, outer, outer_port
        self.port = fresh_port()
        self.inner_next, self.outer_next = 1000, 5000

    def open(self):
        self.from_inner("S")
        syn = self.outer.must_receive("a SYN", TCP, dport=self.outer_port, flags="S")
        self.seen = mapped(syn)
        self.inner_next += 1
        self.from_outer("SA")
        self.inner.must_receive("a SYN-ACK", TCP, dport=self.port, flags="SA")
        self.outer_next += 1
        self.from_inner("A")
        self.outer.must_receive("an ACK", TCP, dport=self.outer_port, flags="A")
        return self

    def from_inner(self, flags, seq=None, data=b""):
        seq = self.inner_next if seq is None else seq
        ack = self.outer_next if "A" in flags else 0
        segment = TCP(sport=self.port, dport=self.outer_port, flags=flags, seq=seq, ack=ack, window=5000)
        self.inner.send(self.outer.ip, segment / Raw(data))

    def from_outer(self, flags, seq=None, data=b""):
        seq = self.outer_next if seq is None else seq
        ack = self.inner_next if "A" in flags else 0
        segment = TCP(sport=self.outer_port, dport=self.seen[1], flags=flags, seq=seq, ack=ack, window=5000)
        self.outer.send(self.seen[0], segment / Raw(data))

    def must_work(self):
        """Requires that data passes both ways."""
        self.from_inner("PA", data=b"question")
        got = self.outer.must_receive("data", TCP, dport=self.outer_port, flags="PA")
        expect(mapped(got) == self.seen, f"the connection is seen as {mapped(got)} and was {self.seen}")
        self.inner_next += len(b"question")
        self.from_outer("PA", data=b"answer")
        self.inner.must_receive("data", TCP, dport=self.port, flags="PA")
        self.outer_next += len(b"answer")


@check
def rfc5382_req_1_a_mapping_does_not_depend_on_the_destination(view):
    port, seen = fresh_port(), set()
    for outer, outer_port in [(view.server, 7001), (view.server, 7002), (view.alias, 7001), (view.client, 7001)]:
        view.a.send(outer.ip, TCP(sport=port, dport=outer_port, flags="S", seq=100))
        seen.add(mapped(outer.must_receive("a SYN", TCP, dport=outer_port)))
    expect(len(seen) == 1, f"one port is seen as {seen}")


@check
def rfc5382_req_2_connections_open_and_close(view):
    connection = Connection(view, view.a, view.server).open()
    connection.must_work()
    connection.from_inner("FA")
    view.server.must_receive("a FIN", TCP, flags="FA")
    connection.inner_next += 1
    connection.from_outer("FA")
    view.a.must_receive("a FIN", TCP, flags="FA")
    connection.outer_next += 1
    connection.from_inner("A")
    view.server.must_receive("the last ACK", TCP, flags="A")


@check
def rfc5382_req_2_a_half_closed_connection_carries_the_other_way(view):
    connection = Connection(view, view.a, view.server).open()
    connection.from_inner("FA")
    view.server.must_receive("a FIN", TCP, flags="FA")
    connection.inner_next += 1
    for _ in range(3):
        connection.from_outer("PA", data=b"late answer")
        view.a.must_receive("data after its FIN", TCP, flags="PA")
        connection.outer_next += len(b"late answer")
        connection.from_inner("A")
        view.server.must_receive("an ACK after the FIN", TCP, flags="A")


@check
def rfc5382_req_2_both_ends_may_open_at_once(view):
    connection = Connection(view, view.a, view.server)
    connection.from_inner("S")
    connection.seen = mapped(view.server.must_receive("a SYN", TCP, flags="S"))
    connection.from_outer("S")
    view.a.must_receive("a SYN that crosses its own", TCP, flags="S")
    connection.inner_next += 1
    connection.outer_next += 1
    connection.from_inner("SA", seq=connection.inner_next - 1)
    view.server.must_receive("a SYN-ACK", TCP, flags="SA")
    connection.from_outer("SA", seq=connection.outer_next - 1)
    view.a.must_receive("a SYN-ACK", TCP, flags="SA")
    connection.must_work()


@check
def rfc5382_req_3_filtering_does_not_depend_on_the_sender(view):
    connection = Connection(view, view.a, view.server).open()
    view.client.send(connection.seen[0], TCP(sport=9999, dport=connection.seen[1], flags="S", seq=1))
    got = view.a.must_receive("a SYN of somebody else to its mapping", TCP, dport=connection.port, flags="S")
    expect(got.src == view.client.ip, f"it came from {got.src}")


@check
def rfc5382_req_4_an_unsolicited_syn_is_not_answered_at_once(view):
    outside = view.udp_out(view.a, fresh_port(), view.server).src
    view.client.send(outside, TCP(sport=9999, dport=1023, flags="S", seq=1))
    view.client.must_not_receive("an answer to an unsolicited SYN", TCP)


@check
def rfc5382_req_7_two_hosts_never_share_a_port(view):
    port, seen = fresh_port(), []
    for host in (view.a, view.b):
        host.send(view.server.ip, TCP(sport=port, dport=7001, flags="S", seq=100))
        seen.append(mapped(view.server.must_receive("a SYN", TCP)))
    expect(seen[0] != seen[1], f"both are seen as {seen[0]}")


@check
def rfc5382_req_8_hairpin_connections_come_from_the_outside_address(view):
    inner = Connection(view, view.b, view.server).open()
    other = Connection(view, view.a, view.server).open()
    view.a.send(inner.seen[0], TCP(sport=other.port, dport=inner.seen[1], flags="S", seq=1))
    got = view.b.must_receive("a hairpin SYN", TCP, dport=inner.port, flags="S")
    expect(mapped(got) == other.seen, f"it came from {mapped(got)} and not from {other.seen}")
    view.b.send(got.src, TCP(sport=inner.port, dport=got[TCP].sport, flags="SA", seq=9, ack=2))
    answer = view.a.must_receive("a SYN-ACK", TCP, dport=other.port, flags="SA")
    expect(mapped(answer) == inner.seen, f"the answer came from {mapped(answer)}")


@check
def rfc5382_req_9_icmp_errors_are_translated(view):
    connection = Connection(view, view.a, view.server).open()
    connection.from_inner("PA", data=b"x" * 1000)
    got = view.server.must_receive("data", TCP, flags="PA")
    view.server.send(got.src, view.too_big(got, 1300))
    error = view.a.must_receive("the error", **view.too_big_kind())
    quoted = error[view.error_layer()]
    expect((quoted.src, quoted.dst) == (view.a.ip, view.server.ip), f"it quotes {quoted.src} > {quoted.dst}")
    expect(quoted[TCPerror].sport == connection.port, f"it quotes port {quoted[TCPerror].sport}")


@check
def rfc5382_req_10_no_icmp_error_ends_a_connection(view):
    connection = Connection(view, view.a, view.server).open()
    connection.from_inner("PA", data=b"question")
    got = view.server.must_receive("data", TCP, flags="PA")
    view.server.send(got.src, view.unreachable(got))
    view.a.must_receive("the error", **view.unreachable_kind())
    connection.inner_next += len(b"question")
    connection.must_work()


@check
def rfc5382_req_2_a_closed_pair_of_ports_opens_again(view):
    connection = Connection(view, view.a, view.server).open()
    for sender, receiver in [("inner", view.server), ("outer", view.a)]:
        getattr(connection, f"from_{sender}")("FA")
        receiver.must_receive("a FIN", TCP, flags="FA")
        setattr(connection, f"{sender}_next", getattr(connection, f"{sender}_next") + 1)
    connection.from_inner("A")
    view.server.must_receive("the last ACK", TCP, flags="A")
    # RFC 9293 §3.6.1 lets a host leave TIME-WAIT by a SYN with a larger sequence number.
    connection.inner_next, connection.outer_next = 500_000, 900_000
    connection.open().must_work()


@check
def rfc7857_2_2_a_reset_out_of_window_does_not_end_a_connection(view):
    connection = Connection(view, view.a, view.server).open()
    for distance in (1 << 20, 1 << 31, -(1 << 20)):
        connection.from_outer("R", seq=(connection.outer_next + distance) % (1 << 32))
        connection.from_inner("R", seq=(connection.inner_next + distance) % (1 << 32))
    connection.must_work()
    # What a forger sends who does not know the ports of the connection.
    view.client.send(connection.seen[0], TCP(sport=7001, dport=connection.seen[1], flags="R", seq=1))
    connection.must_work()


@check
def rfc7857_2_2_after_a_reset_in_window_the_pair_of_ports_opens_again(view):
    connection = Connection(view, view.a, view.server).open()
    connection.from_outer("R", seq=connection.outer_next)
    view.a.must_receive("the reset", TCP, flags="R")
    connection.inner_next, connection.outer_next = 90_000, 80_000
    connection.open().must_work()
