//! TCP: states, timers and windows (RFC 5382, RFC 7857 §2, RFC 5961).

use core::net::SocketAddr;
use core::time::Duration;

use tapweave_net::TcpFlags;

use super::world::*;
use crate::*;

const ACK: TcpFlags = TcpFlags::ACK;
const HOURS_2_MIN_4: Duration = Duration::from_mins(124);

/// A connection from [`A`] to [`X`], as both ends see it.
struct Connection {
    world: World,
    external: SocketAddr,
    /// What each end sends next.
    a: u32,
    x: u32,
}

impl Connection {
    /// A SYN was sent, numbered 1000.
    fn syn_sent() -> Self {
        let world = World::new();
        let external = world.external(&tcp(A, X, syn(1000)));
        Self {
            world,
            external,
            a: 1001,
            x: 9000,
        }
    }

    /// The handshake is complete.
    fn established() -> Self {
        let mut this = Self::syn_sent();
        this.answer();
        this.a_sends(ACK, 0);
        this
    }

    fn answer(&mut self) {
        self.x_sends(TcpFlags::SYN | ACK, 0);
    }

    fn send_a(&self, segment: Segment) {
        assert_eq!(self.world.external(&tcp(A, X, segment)), self.external);
    }

    fn send_x(&self, segment: Segment) {
        assert_eq!(
            self.world.arrival(&tcp(X, self.external, segment)),
            Ok(socket(A))
        );
    }

    /// Sends what comes next from A, with `len` bytes of payload.
    fn a_sends(&mut self, flags: TcpFlags, len: u32) {
        let segment = Segment::new(flags, self.a, self.x, usize::try_from(len).unwrap());
        self.send_a(segment);
        self.a += len + u32::from(flags.intersects(TcpFlags::SYN | TcpFlags::FIN));
    }

    /// Sends what comes next from X.
    fn x_sends(&mut self, flags: TcpFlags, len: u32) {
        let segment = Segment::new(flags, self.x, self.a, usize::try_from(len).unwrap());
        self.send_x(segment);
        self.x += len + u32::from(flags.intersects(TcpFlags::SYN | TcpFlags::FIN));
    }

    fn entry(&self) -> FlowEntry {
        let [flow] = &self.world.flows()[..] else {
            panic!("{:?}", self.world.flows())
        };
        flow.clone()
    }

    #[track_caller]
    fn expect(&self, state: TcpState, time: Duration) {
        let flow = self.entry();
        assert_eq!(flow.state, FlowState::Tcp(state));
        let slack = Timeouts::GRANULARITY;
        assert!(
            (time..=time + slack).contains(&flow.expires_in),
            "{state} for {:?}",
            flow.expires_in
        );
    }

    fn out_of_window_count(&self) -> u64 {
        self.world.nat.stats().tcp_out_of_window
    }
}

/// RFC 5382 REQ-2 and REQ-5: the handshake, and how long each of its states lives.
#[test]
fn rfc5382_req_5_an_established_connection_lives_2_h_4_min_and_an_opening_one_4_min() {
    let mut this = Connection::syn_sent();
    this.expect(TcpState::SynSent, Duration::from_mins(4));
    this.answer();
    this.expect(TcpState::SynReceived, Duration::from_mins(4));
    this.a_sends(ACK, 0);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
    this.world.wait(HOURS_2_MIN_4);
    this.world.sweep();
    this.x_sends(ACK, 10);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
    this.world.wait(HOURS_2_MIN_4 + Duration::from_secs(2));
    this.world.sweep();
    assert!(this.world.nat.is_empty());
}

/// RFC 5382 REQ-2: "A NAT MUST support all valid sequences of TCP packets"; (a): "A NAT MUST handle the
/// TCP simultaneous-open mode of connection initiation."
#[test]
fn rfc5382_req_2_a_both_ends_may_open_at_once() {
    let mut this = Connection::syn_sent();
    this.send_x(syn(9000));
    this.x = 9001;
    this.expect(TcpState::SynReceived, Duration::from_mins(4));
    // Each answers the other's SYN with its own once more, in either order.
    this.send_x(Segment::new(TcpFlags::SYN | ACK, 9000, 1001, 0));
    this.send_a(Segment::new(TcpFlags::SYN | ACK, 1000, 9001, 0));
    this.x_sends(ACK, 0);
    this.a_sends(ACK, 0);
    this.a_sends(ACK, 3000);
    this.x_sends(ACK, 3000);
    this.a_sends(ACK, 3000);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
    assert_eq!(this.out_of_window_count(), 0);
}

/// RFC 5382 REQ-3: endpoint-independent filtering; a connection may be opened from outside to a mapping.
#[test]
fn rfc5382_req_3_strangers_may_connect_to_a_port_that_has_a_mapping() {
    let this = Connection::syn_sent();
    let from_y = tcp(Y, this.external, syn(5));
    assert_eq!(this.world.arrival(&from_y), Ok(socket(A)));
    let answer = Segment::new(TcpFlags::SYN | ACK, 70, 6, 0);
    assert_eq!(this.world.external(&tcp(A, Y, answer)), this.external);
    let from_y = tcp(Y, this.external, Segment::new(ACK, 6, 71, 0));
    assert_eq!(this.world.arrival(&from_y), Ok(socket(A)));
    let flows = this.world.flows();
    let flow = flows.iter().find(|flow| flow.kind == FlowKind::Admitted);
    assert_eq!(
        flow.map(|flow| flow.state),
        Some(FlowState::Tcp(TcpState::Established))
    );
    // What is not the beginning of a connection is not let in.
    let stray = tcp("203.0.113.7:7", this.external, Segment::new(ACK, 6, 71, 0));
    assert_eq!(this.world.inward(&stray), Err(NatDrop::TcpNoFlow));
}

/// RFC 5382 REQ-4: "A NAT MUST NOT respond to an unsolicited inbound SYN packet for at least 6 seconds".
/// Nothing is ever sent, and the connection that opens in between is not disturbed.
#[test]
fn rfc5382_req_4_an_unsolicited_syn_is_dropped_and_a_later_syn_from_inside_opens() {
    let world = World::new();
    let external = world.external(&tcp(A, X, syn(1)));
    let mut other = external;
    other.set_port(external.port() ^ 1);
    let unsolicited = tcp(Y, other, syn(5));
    assert_eq!(world.inward(&unsolicited), Err(NatDrop::NoMapping));
    assert_eq!(world.external(&tcp(A, Y, syn(7))), external);
    assert_eq!(world.arrival(&tcp(Y, external, syn(5))), Ok(socket(A)));
}

/// RFC 7857 §2 (RFC 6146 §3.5.2): a connection that is half closed is still in use; one that is closed
/// lives four minutes, and nothing prolongs that.
#[test]
fn rfc7857_2_a_closed_connection_lives_4_min_whatever_comes() {
    for x_first in [false, true] {
        let mut this = Connection::established();
        if x_first {
            this.x_sends(TcpFlags::FIN | ACK, 0);
        } else {
            this.a_sends(TcpFlags::FIN | ACK, 0);
        }
        this.expect(TcpState::FinSeen, HOURS_2_MIN_4);
        // The other direction goes on for as long as it likes.
        this.world.wait(Duration::from_hours(1));
        if x_first {
            this.a_sends(ACK, 500);
        } else {
            this.x_sends(ACK, 500);
        }
        this.expect(TcpState::FinSeen, HOURS_2_MIN_4);
        if x_first {
            this.a_sends(TcpFlags::FIN | ACK, 0);
        } else {
            this.x_sends(TcpFlags::FIN | ACK, 0);
        }
        this.expect(TcpState::TimeWait, Duration::from_mins(4));
        this.world.wait(Duration::from_mins(3));
        this.a_sends(ACK, 0);
        this.x_sends(ACK, 0);
        this.expect(TcpState::TimeWait, Duration::from_mins(1));
        this.world.wait(Duration::from_mins(2));
        this.world.sweep();
        assert!(this.world.nat.is_empty());
    }
}

/// RFC 7857 §2.2: "when the NAT receives a TCP RST matching an existing mapping, it MUST translate the
/// packet [...]. Moreover, the NAT SHOULD wait for 4 minutes before deleting the session".
#[test]
fn rfc7857_2_2_a_rst_leaves_the_connection_4_min() {
    let mut this = Connection::established();
    this.x_sends(ACK, 100);
    this.a_sends(ACK, 0);
    this.x_sends(TcpFlags::RST, 0);
    this.expect(TcpState::Reset, Duration::from_mins(4));
    // What was under way does not prolong that.
    this.world.wait(Duration::from_mins(1));
    this.a_sends(ACK, 100);
    this.expect(TcpState::Reset, Duration::from_mins(3));
}

/// RFC 7857 §2 (RFC 6146 §3.5.2.2): a connection goes on if its end turns out not to have reset it.
#[test]
fn rfc7857_2_a_connection_that_goes_on_after_a_rst_is_open_again() {
    let mut this = Connection::established();
    let forged = Segment::new(TcpFlags::RST, this.x, 0, 0);
    this.send_x(forged);
    this.expect(TcpState::Reset, Duration::from_mins(4));
    this.x_sends(ACK, 10);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
}

/// RFC 5961 §3: a RST that does not have exactly the expected number is answered with a challenge ACK, so
/// the connection goes on. It is translated, since that is the end's decision.
#[test]
fn rfc5961_3_a_rst_with_another_number_changes_nothing() {
    let mut this = Connection::established();
    this.x_sends(ACK, 1000);
    this.a_sends(ACK, 1000);
    let x = this.x;
    for seq in [
        x + 1,
        x - 1,
        x + 30_000,
        x + 70_000,
        x.wrapping_sub(70_000),
        0,
    ] {
        this.send_x(Segment::new(TcpFlags::RST, seq, 0, 0));
        this.expect(TcpState::Established, HOURS_2_MIN_4);
    }
    assert_eq!(this.out_of_window_count(), 6);
    // The challenge ACK, and the RST that it provokes from an end that knows nothing any more.
    this.a_sends(ACK, 0);
    this.x_sends(TcpFlags::RST, 0);
    this.expect(TcpState::Reset, Duration::from_mins(4));
}

/// The receiver of a RST may not have acknowledged all that came before it.
#[test]
fn a_rst_that_follows_data_on_its_way_counts() {
    let mut this = Connection::established();
    this.x_sends(ACK, 1000);
    this.x_sends(TcpFlags::RST, 0);
    this.expect(TcpState::Reset, Duration::from_mins(4));
}

/// RFC 5961 §4: a SYN in an established connection is answered with a challenge ACK.
#[test]
fn rfc5961_4_a_syn_in_an_open_connection_changes_nothing() {
    let this = Connection::established();
    this.send_x(syn(9000));
    this.send_x(syn(123_456));
    this.send_a(syn(777));
    this.expect(TcpState::Established, HOURS_2_MIN_4);
    assert_eq!(this.out_of_window_count(), 3);
}

/// RFC 5961 §5: data and acknowledgements far outside of the window neither prolong nor end anything.
#[test]
fn rfc5961_5_segments_out_of_window_are_forwarded_and_change_nothing() {
    let mut this = Connection::established();
    this.x_sends(ACK, 1000);
    this.a_sends(ACK, 1000);
    let before = this.entry();
    this.world.wait(Duration::from_mins(10));
    let (a, x) = (this.a, this.x);
    let forged = [
        Segment::new(ACK | TcpFlags::FIN, x + 200_000, a, 0),
        Segment::new(ACK | TcpFlags::FIN, x.wrapping_sub(200_000), a, 0),
        Segment::new(ACK | TcpFlags::FIN, x, a + 1, 0),
        Segment::new(ACK | TcpFlags::FIN, x, a.wrapping_sub(200_000), 0),
    ];
    for segment in forged {
        this.send_x(segment);
    }
    let after = this.entry();
    assert_eq!(after.state, before.state);
    assert_eq!(
        after.expires_in + Duration::from_mins(10),
        before.expires_in
    );
    assert_eq!(this.out_of_window_count(), 4);
    this.x_sends(ACK, 10);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
}

/// RFC 7323 §2: windows are scaled if both ends say so.
#[test]
fn scaled_windows_and_super_frames_are_in_window() {
    let mut this = Connection::syn_sent();
    this.send_a(Segment {
        scale: Some(7),
        ..syn(1000)
    });
    let answer = Segment {
        scale: Some(10),
        ..Segment::new(TcpFlags::SYN | ACK, 9000, 1001, 0)
    };
    this.send_x(answer);
    this.x = 9001;
    this.a_sends(ACK, 0);
    // 64,000 << 7 is 8 MB: two megabytes in super-frames before the next acknowledgement.
    for _ in 0..32 {
        this.x_sends(ACK, 64_000);
    }
    this.a_sends(ACK, 0);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
    assert_eq!(this.out_of_window_count(), 0);
    // Without scaling, 64,000 is all, but rounded up to a power of two, and one octet to probe with.
    let mut this = Connection::established();
    this.x_sends(ACK, 64_000);
    this.x_sends(ACK, 1536);
    this.x_sends(ACK, 1);
    assert_eq!(this.out_of_window_count(), 0);
    this.x_sends(ACK, 1);
    assert_eq!(this.out_of_window_count(), 1);
}

#[test]
fn a_connection_whose_numbers_wrap_is_followed() {
    let world = World::new();
    let external = world.external(&tcp(A, X, syn(u32::MAX - 5)));
    let answer = Segment::new(TcpFlags::SYN | ACK, u32::MAX - 1, u32::MAX - 4, 0);
    world.arrival(&tcp(X, external, answer)).unwrap();
    let mut a = u32::MAX - 4;
    let mut x = u32::MAX;
    for _ in 0..20 {
        world.external(&tcp(A, X, Segment::new(ACK, a, x, 1000)));
        a = a.wrapping_add(1000);
        let segment = Segment::new(ACK, x, a, 1000);
        world.arrival(&tcp(X, external, segment)).unwrap();
        x = x.wrapping_add(1000);
    }
    assert_eq!(world.nat.stats().tcp_out_of_window, 0);
}

/// RFC 9293 §3.10.7.3: a SYN is refused by a RST that acknowledges it.
#[test]
fn a_refused_connection_is_forgotten_after_4_min_and_may_be_tried_again() {
    let mut this = Connection::syn_sent();
    let wrong = Segment::new(TcpFlags::RST | ACK, 0, 1002, 0);
    this.send_x(wrong);
    this.expect(TcpState::SynSent, Duration::from_mins(4));
    let right = Segment::new(TcpFlags::RST | ACK, 0, 1001, 0);
    this.send_x(right);
    this.expect(TcpState::Reset, Duration::from_mins(4));
    this.world.wait(Duration::from_mins(2));
    this.send_a(syn(2000));
    this.expect(TcpState::SynSent, Duration::from_mins(4));
    this.a = 2001;
    this.answer();
    this.a_sends(ACK, 0);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
}

/// RFC 9293 §3.6.1: a new connection may follow in `TIME-WAIT`.
#[test]
fn a_port_is_used_again_after_its_connection_was_closed() {
    let mut this = Connection::established();
    this.a_sends(TcpFlags::FIN | ACK, 0);
    this.x_sends(TcpFlags::FIN | ACK, 0);
    this.a_sends(ACK, 0);
    this.expect(TcpState::TimeWait, Duration::from_mins(4));
    this.send_a(syn(500_000));
    this.expect(TcpState::SynSent, Duration::from_mins(4));
    this.a = 500_001;
    this.x = 77;
    this.answer();
    this.a_sends(ACK, 100);
    this.x_sends(ACK, 100);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
    assert_eq!(this.out_of_window_count(), 0);
}

#[test]
fn repeated_segments_of_the_handshake_do_no_harm() {
    let mut this = Connection::syn_sent();
    this.world.wait(Duration::from_mins(3));
    this.send_a(syn(1000));
    this.expect(TcpState::SynSent, Duration::from_mins(4));
    this.answer();
    this.send_x(Segment::new(TcpFlags::SYN | ACK, 9000, 1001, 0));
    this.send_a(syn(1000));
    this.expect(TcpState::SynReceived, Duration::from_mins(4));
    this.a_sends(ACK, 10);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
    assert_eq!(this.out_of_window_count(), 0);
    // A sender that gave up and begins anew has another number.
    let this = Connection::syn_sent();
    this.send_a(syn(500_000));
    this.send_x(Segment::new(TcpFlags::SYN | ACK, 9000, 1001, 0));
    this.expect(TcpState::SynSent, Duration::from_mins(4));
    this.send_x(Segment::new(TcpFlags::SYN | ACK, 9000, 500_001, 0));
    this.expect(TcpState::SynReceived, Duration::from_mins(4));
}

/// As Linux does with `nf_conntrack_tcp_loose`.
#[test]
fn a_connection_that_is_older_than_its_flow_is_picked_up() {
    let world = World::new();
    let external = world.external(&tcp(A, X, Segment::new(ACK, 1000, 9000, 100)));
    let mut this = Connection {
        world,
        external,
        a: 1100,
        x: 9000,
    };
    this.expect(TcpState::SynReceived, Duration::from_mins(4));
    this.x_sends(ACK, 50_000);
    this.expect(TcpState::Established, HOURS_2_MIN_4);
    // The scale is not known, so windows are not checked; a RST still has to be exact.
    this.send_x(Segment::new(ACK, this.x + 1_000_000, this.a, 100));
    this.send_x(Segment::new(TcpFlags::RST, this.x + 5, 0, 0));
    this.expect(TcpState::Established, HOURS_2_MIN_4);
}

/// An end that does not know the connection any more has the last word.
#[test]
fn a_connection_that_was_picked_up_in_vain_is_reset() {
    let world = World::new();
    let external = world.external(&tcp(A, X, Segment::new(ACK, 1000, 9000, 100)));
    let this = Connection {
        world,
        external,
        a: 1100,
        x: 9000,
    };
    this.send_x(Segment::new(TcpFlags::RST, 9000, 0, 0));
    this.expect(TcpState::Reset, Duration::from_mins(4));
}

#[test]
fn segments_that_neither_open_nor_continue_anything_are_dropped() {
    let world = World::new();
    for flags in [
        TcpFlags::RST,
        TcpFlags::RST | ACK,
        TcpFlags::FIN | ACK,
        TcpFlags::FIN,
        TcpFlags::EMPTY,
        TcpFlags::SYN | TcpFlags::FIN,
        TcpFlags::SYN | TcpFlags::RST,
    ] {
        let segment = Segment::new(flags, 1000, 9000, 0);
        assert_eq!(world.out(RED, &tcp(A, X, segment)), Err(NatDrop::TcpNoFlow));
    }
    assert!(world.nat.is_empty());
}
