# ICMP (RFC 5508), and what a router owes (RFC 1812, RFC 8200).


@check
def rfc5508_req_1_queries_are_answered(view):
    id = fresh_port()
    for seq in range(3):
        view.a.send(view.server.ip, view.echo(id, seq))
        request = view.server.must_receive("an echo request", **view.echo_kind())
        view.server.send(request.src, view.reply_to(request))
        reply = view.a.must_receive("the reply", **view.reply_kind())
        expect(view.echo_id(reply) == id, f"the reply has the identifier {view.echo_id(reply)}")


@check
def rfc5508_req_1a_a_mapping_does_not_depend_on_the_destination(view):
    id, seen = fresh_port(), set()
    for outer in (view.server, view.alias, view.client):
        view.a.send(outer.ip, view.echo(id))
        request = outer.must_receive("an echo request", **view.echo_kind())
        seen.add((request.src, view.echo_id(request)))
    expect(len(seen) == 1, f"one identifier is seen as {seen}")


@check
def rfc5508_req_1_two_hosts_never_share_an_identifier(view):
    id, seen = fresh_port(), []
    for host in (view.a, view.b):
        host.send(view.server.ip, view.echo(id))
        request = view.server.must_receive("an echo request", **view.echo_kind())
        seen.append(request)
    expect(view.echo_id(seen[0]) != view.echo_id(seen[1]), "both have one identifier")
    for host, request in zip((view.a, view.b), seen):
        view.server.send(request.src, view.reply_to(request))
        reply = host.must_receive("its reply", **view.reply_kind())
        expect(view.echo_id(reply) == id, "the reply has another identifier")


@check
def rfc5508_req_3_an_error_with_a_wrong_checksum_is_dropped(view):
    got = view.udp_out(view.a, fresh_port(), view.server)
    error = view.ip(view.server.ip, got.src) / view.unreachable(got)
    octets = bytearray(bytes(error))
    # The checksum of ICMP is in its third and fourth octet.
    octets[(20 if view.is_v4 else 40) + 2] ^= 0x55
    view.server.send_raw(type(error)(bytes(octets)))
    view.a.must_not_receive("an error with a wrong checksum", **view.unreachable_kind())


@check
def rfc5508_req_4_an_error_from_outside_reaches_whom_it_is_about(view):
    for make in (udp_packet, echo_packet):
        got, port, quoted_port = make(view)
        # From a router on the way, as well as from the other end.
        for outer in (view.server, view.client):
            outer.send(got.src, view.unreachable(got))
            error = view.a.must_receive("the error", **view.unreachable_kind())
            expect(error.src == outer.ip, f"it comes from {error.src}")
            quoted = error[view.error_layer()]
            expect((quoted.src, quoted.dst) == (view.a.ip, view.server.ip), f"it quotes {quoted.src} > {quoted.dst}")
            expect(quoted_port(quoted) == port, f"it quotes {quoted_port(quoted)} and not {port}")


def udp_packet(view):
    port = fresh_port()
    return view.udp_out(view.a, port, view.server), port, lambda quoted: quoted[UDPerror].sport


def echo_packet(view):
    id = fresh_port()
    view.a.send(view.server.ip, view.echo(id))
    got = view.server.must_receive("an echo request", **view.echo_kind())
    layer = ICMPerror if view.is_v4 else ICMPv6EchoRequest
    return got, id, lambda quoted: quoted[layer].id


@check
def rfc5508_req_4_an_error_about_nothing_that_was_sent_is_dropped(view):
    got = view.udp_out(view.a, fresh_port(), view.server)
    stranger = got.copy()
    stranger[UDP].sport = got[UDP].sport ^ 1
    view.server.send(got.src, view.unreachable(stranger))
    view.a.must_not_receive("an error about another's packet", **view.unreachable_kind())


@check
def rfc5508_req_5_an_error_from_inside_quotes_what_was_sent_outside(view):
    port = fresh_port()
    seen = mapped(view.udp_out(view.a, port, view.server))
    view.udp_in(view.server, 7001, seen)
    got = view.a.must_receive("a datagram", UDP, dport=port)
    view.a.send(got.src, view.unreachable(got))
    error = view.server.must_receive("the error", **view.unreachable_kind())
    expect(error.src == seen[0], f"it comes from {error.src}")
    quoted = error[view.error_layer()]
    expect((quoted.src, quoted.dst) == (view.server.ip, seen[0]), f"it quotes {quoted.src} > {quoted.dst}")
    expect(quoted[UDPerror].dport == seen[1], f"it quotes port {quoted[UDPerror].dport}")


@check
def rfc5508_req_6_an_error_about_a_query_does_not_end_it(view):
    got, id, _ = echo_packet(view)
    view.server.send(got.src, view.unreachable(got))
    view.a.must_receive("the error", **view.unreachable_kind())
    view.server.send(got.src, view.reply_to(got))
    view.a.must_receive("the reply", **view.reply_kind())


@check
def rfc5508_req_7_hairpin_errors_are_translated(view):
    port_a, port_b = fresh_port(), fresh_port()
    seen_a = mapped(view.udp_out(view.a, port_a, view.server))
    seen_b = mapped(view.udp_out(view.b, port_b, view.server))
    view.a.send(seen_b[0], UDP(sport=port_a, dport=seen_b[1]) / Raw(b"hairpin"))
    got = view.b.must_receive("a hairpin packet", UDP, dport=port_b)
    view.b.send(got.src, view.unreachable(got))
    error = view.a.must_receive("the error", **view.unreachable_kind())
    quoted = error[view.error_layer()]
    expect((quoted.src, quoted.dst) == (view.a.ip, seen_b[0]), f"it quotes {quoted.src} > {quoted.dst}")
    ports = quoted[UDPerror].sport, quoted[UDPerror].dport
    expect(ports == (port_a, seen_b[1]), f"it quotes ports {ports}; a hairpin from {seen_a}")


@check
def rfc5508_req_10_the_gateway_tells_that_time_was_exceeded(view):
    port = fresh_port()
    view.a.send(view.server.ip, UDP(sport=port, dport=7001) / Raw(b"short"), **view.hops(1))
    error = view.a.must_receive("that its time was exceeded", **view.time_exceeded_kind())
    quoted = error[view.error_layer()]
    expect((quoted.src, quoted.dst) == (view.a.ip, view.server.ip), f"it quotes {quoted.src} > {quoted.dst}")
    expect(quoted[UDPerror].sport == port, f"it quotes port {quoted[UDPerror].sport}")


@check
def rfc1812_5_3_1_each_hop_takes_one_from_the_time_to_live(view):
    port = fresh_port()
    view.a.send(view.server.ip, UDP(sport=port, dport=7001), **view.hops(40))
    out = view.server.must_receive("a datagram", UDP)
    view.server.send(out.src, UDP(sport=7001, dport=out[UDP].sport), **view.hops(40))
    back = view.a.must_receive("the answer", UDP, dport=port)
    taken = 40 - view.hops_of(out), 40 - view.hops_of(back)
    # The gateway and one or two routers behind it.
    expect(taken[0] == taken[1] and 2 <= taken[0] <= 3, f"{taken} were taken")


@check
def rfc2474_the_traffic_class_is_kept(view):
    field = "tos" if view.is_v4 else "tc"
    view.a.send(view.server.ip, UDP(sport=fresh_port(), dport=7001), **{field: 0xb8})
    got = view.server.must_receive("a datagram", UDP)
    expect(getattr(got, field) == 0xb8, f"it has {getattr(got, field):#x}")


@check
def rfc768_a_datagram_without_a_checksum_stays_without(view):
    if not view.is_v4:
        return
    port = fresh_port()
    view.a.send(view.server.ip, UDP(sport=port, dport=7001, chksum=0) / Raw(b"unchecked"))
    got = view.server.must_receive("a datagram", UDP)
    expect(got[UDP].chksum == 0, f"it has the checksum {got[UDP].chksum:#x}")
    view.server.send(got.src, UDP(sport=7001, dport=got[UDP].sport, chksum=0) / Raw(b"unchecked"))
    back = view.a.must_receive("the answer", UDP, dport=port)
    expect(back[UDP].chksum == 0, f"the answer has the checksum {back[UDP].chksum:#x}")
