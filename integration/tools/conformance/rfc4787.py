# UDP (RFC 4787). The checks of the timers are elsewhere: `nat ls` shows when an entry expires.


@check
def rfc4787_req_1_a_mapping_does_not_depend_on_the_destination(view):
    port = fresh_port()
    seen = {
        mapped(view.udp_out(view.a, port, outer, outer_port))
        for outer, outer_port in [(view.server, 7001), (view.server, 7002), (view.alias, 7001), (view.client, 7001)]
    }
    expect(len(seen) == 1, f"one port is seen as {seen}")


@check
def rfc4787_req_2_all_sessions_of_a_host_have_one_outside_address(view):
    udp = view.udp_out(view.a, fresh_port(), view.server).src
    view.a.send(view.server.ip, view.echo(id=fresh_port()))
    icmp = view.server.must_receive("an echo request", **view.echo_kind()).src
    view.a.send(view.server.ip, TCP(sport=fresh_port(), dport=7001, flags="S"))
    tcp = view.server.must_receive("a SYN", TCP).src
    expect(udp == icmp == tcp, f"UDP as {udp}, ICMP as {icmp}, TCP as {tcp}")


@check
def rfc4787_req_3_two_hosts_never_share_a_port(view):
    port = fresh_port()
    first = mapped(view.udp_out(view.a, port, view.server))
    second = mapped(view.udp_out(view.b, port, view.server))
    expect(first != second, f"both are seen as {first}")
    for host, seen, data in [(view.a, first, b"for a"), (view.b, second, b"for b")]:
        view.udp_in(view.server, 7001, seen, data)
        got = host.must_receive("its answer", UDP, dport=port)
        expect(bytes(got[UDP].payload) == data, "answers are mixed up")


@check
def rfc4787_req_3b_a_port_above_1023_stays_above_1023(view):
    for _ in range(8):
        seen = mapped(view.udp_out(view.a, fresh_port(), view.server))
        expect(seen[1] >= 1024, f"seen as {seen}")


@check
def rfc4787_req_4_parity_of_ports_is_kept(view):
    for _ in range(16):
        port = fresh_port()
        seen = mapped(view.udp_out(view.a, port, view.server))
        expect(seen[1] % 2 == port % 2, f"port {port} is seen as {seen}")


@check
def rfc4787_req_8_filtering_does_not_depend_on_the_sender(view):
    port = fresh_port()
    seen = mapped(view.udp_out(view.a, port, view.server))
    view.udp_in(view.client, 9999, seen)
    got = view.a.must_receive("what somebody else sent to its mapping", UDP, dport=port)
    expect((got.src, got[UDP].sport) == (view.client.ip, 9999), f"it came from {mapped(got)}")


@check
def rfc4787_req_9_hairpin_packets_come_from_the_outside_address(view):
    port_a, port_b = fresh_port(), fresh_port()
    seen_a = mapped(view.udp_out(view.a, port_a, view.server))
    seen_b = mapped(view.udp_out(view.b, port_b, view.server))
    view.a.send(seen_b[0], UDP(sport=port_a, dport=seen_b[1]) / Raw(b"hairpin"))
    got = view.b.must_receive("a hairpin packet", UDP, dport=port_b)
    expect(mapped(got) == seen_a, f"it came from {mapped(got)} and not from {seen_a}")
    view.b.send(got.src, UDP(sport=port_b, dport=got[UDP].sport) / Raw(b"answer"))
    answer = view.a.must_receive("the answer", UDP, dport=port_a)
    expect(mapped(answer) == seen_b, f"the answer came from {mapped(answer)} and not from {seen_b}")


@check
def rfc4787_req_10_payload_is_not_looked_into(view):
    data = f"PORT {view.a.ip.replace('.', ',')},78,33\r\nContact: <sip:x@{view.a.ip}:5060>\r\n".encode()
    for port in (21, 5060, 7001):
        got = view.udp_out(view.a, fresh_port(), view.server, port, data)
        expect(bytes(got[UDP].payload) == data, f"changed on the way to port {port}")


@check
def rfc4787_req_11_a_mapping_stays_as_it_is_when_others_come(view):
    port = fresh_port()
    before = mapped(view.udp_out(view.a, port, view.server))
    for other in range(40):
        view.udp_out(view.b, port, view.server, 7100 + other)
    after = mapped(view.udp_out(view.a, port, view.alias))
    expect(before == after, f"seen as {before}, then as {after}")


@check
def rfc4787_req_12_an_icmp_error_does_not_end_a_mapping(view):
    port = fresh_port()
    got = view.udp_out(view.a, port, view.server)
    view.server.send(got.src, view.unreachable(got))
    view.a.must_receive("the error", **view.unreachable_kind())
    view.udp_in(view.server, 7001, mapped(got))
    view.a.must_receive("an answer after the error", UDP, dport=port)
    expect(mapped(view.udp_out(view.a, port, view.server)) == mapped(got), "the mapping has changed")


@check
def rfc4787_req_14_fragments_in_order_are_translated_both_ways(view):
    fragments_pass(view, lambda fragments: fragments)


@check
def rfc4787_req_14a_fragments_out_of_order_are_translated_both_ways(view):
    fragments_pass(view, lambda fragments: fragments[::-1])


def fragments_pass(view, order):
    port, data = fresh_port(), bytes(range(256)) * 10
    seen = mapped(view.udp_out(view.a, port, view.server))
    out = view.ip(view.a.ip, view.server.ip) / UDP(sport=port, dport=7001) / Raw(data)
    for part in order(fragments_of(view, out)):
        view.a.send_raw(part)
    whole = reassembled(view, view.server)
    expect(whole[UDP].payload.load == data, "not what was sent")
    expect(mapped(whole) == seen, f"fragments are seen as {mapped(whole)} and others as {seen}")
    back = view.ip(view.server.ip, seen[0]) / UDP(sport=7001, dport=seen[1]) / Raw(data)
    for part in order(fragments_of(view, back)):
        view.server.send_raw(part)
    whole = reassembled(view, view.a)
    expect(whole[UDP].payload.load == data, "not what was sent back")
    expect(whole[UDP].dport == port, f"it came back to port {whole[UDP].dport}")


def fragments_of(view, packet):
    """The pieces of a packet, with an identification of their own and right checksums inside."""
    packet = type(packet)(bytes(packet))
    if view.is_v4:
        packet.id = fresh_port()
        del packet.chksum
        return fragment(packet, 1000)
    header = IPv6ExtHdrFragment(id=fresh_port(), nh=17)
    return fragment6(view.ip(packet.src, packet.dst) / header / packet[UDP], 1048)


def reassembled(view, host):
    """The next datagram for this host that comes in pieces, which may be in any order, or as a whole."""
    pieces, total, first = {}, None, None
    for packet in host.station.heard(time.monotonic() + SOON):
        if host.layer not in packet or packet[host.layer].dst != host.ip:
            continue
        ip = packet[host.layer]
        if view.is_v4:
            offset, more, body = ip.frag * 8, bool(ip.flags.MF), bytes(ip.payload)[: ip.len - 4 * ip.ihl]
            protocol = ip.proto
        elif IPv6ExtHdrFragment in ip:
            part = ip[IPv6ExtHdrFragment]
            offset, more, body, protocol = part.offset * 8, bool(part.m), bytes(part.payload), part.nh
        else:
            offset, more, body, protocol = 0, False, bytes(ip.payload), ip.nh
        if protocol != 17:
            continue
        first = ip if offset == 0 else first
        pieces[offset] = body
        total = total if more else offset + len(body)
        if total is not None and sum(map(len, pieces.values())) == total:
            body = b"".join(pieces[offset] for offset in sorted(pieces))
            whole = view.ip(first.src, first.dst) / UDP(body)
            given = whole[UDP].chksum
            del whole[UDP].chksum
            expect(type(whole)(bytes(whole))[UDP].chksum == given, "a wrong checksum over the fragments")
            return whole
    raise Failed(f"{host.ip} did not get all fragments")
