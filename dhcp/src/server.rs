//! The server of one network: what becomes of each message.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use tapweave_net::{MacAddr, PortNo, Timestamp};

use crate::lease::{KeptLease, Lease, LeaseState, Origin, Place, Pool, Station};
use crate::settings::Settings;
use crate::static_leases::StaticLeases;
use crate::turn::Turn;
use crate::v4::Request;
use crate::{ClientKey, Refusal, ServerStats, v6};

/// The server of one network.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    places: BTreeMap<PortNo, Place>,
    static_leases: StaticLeases,
    stats: ServerStats,
}

/// Who sent a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    /// The port that it came from.
    pub port: PortNo,
    /// The source of its frame.
    pub mac: MacAddr,
}

/// An answer in IPv4, from port 67 to port 68.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The message.
    pub message: Vec<u8>,
    /// The server's address.
    pub server: Ipv4Addr,
    /// Whom it is for.
    pub to: ReplyTo,
}

/// Whom an answer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyTo {
    /// Everybody who listens at the port.
    Everybody,
    /// This station.
    Station(MacAddr, Ipv4Addr),
}

impl Server {
    /// Returns a server that knows no ports yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            places: BTreeMap::new(),
            static_leases: StaticLeases::default(),
            stats: ServerStats::default(),
        }
    }

    /// States what clients are told from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// States which addresses are fixed for whom, in the place of what was stated before. Whoever states it keeps them out
    /// of the pool; that a client has its address from there does not matter.
    pub fn set_static_leases(&mut self, leases: impl IntoIterator<Item = (ClientKey, Ipv4Addr)>) {
        self.static_leases.replace(leases, self.places.values_mut());
    }

    /// States who is at a port. `kept` are the leases that were stored of it; they last as if they had been given now,
    /// since it is not known for how long its clients were told that they have them.
    pub fn set_station(
        &mut self,
        now: Timestamp,
        port: PortNo,
        station: Station,
        kept: impl IntoIterator<Item = KeptLease>,
    ) {
        let expires = now + self.settings.lease_time;
        let kept = kept.into_iter().map(|kept| {
            let lease = Lease {
                port,
                address: kept.address,
                client: kept.client.clone(),
                mac: kept.mac,
                host_name: kept.host_name,
                origin: Origin::Pool,
                state: LeaseState::Bound,
                expires,
            };
            (kept.client, lease)
        });
        let place = Place {
            station,
            own: None,
            leases: kept.collect(),
        };
        self.places.insert(port, place);
    }

    /// Forgets a port with all its leases and returns who was there. The addresses are not given back: who takes the
    /// port away knows them.
    pub fn remove_station(&mut self, port: PortNo) -> Option<Station> {
        self.static_leases.forget_port(port);
        self.places.remove(&port).map(|place| place.station)
    }

    /// Answers a message over IPv4.
    ///
    /// # Errors
    ///
    /// Why it is not answered; some ask for no answer, and are no errors.
    pub fn handle(
        &mut self,
        now: Timestamp,
        from: Asker,
        message: &[u8],
        pool: &mut dyn Pool,
    ) -> Result<Option<Reply>, Refusal> {
        let outcome = self.serve(now, from, message, pool);
        if let Err(refusal) = outcome {
            self.stats.refused(refusal);
        }
        outcome
    }

    /// Answers a message over IPv6: only what asks for information and no addresses (RFC 8415 §6.1).
    ///
    /// # Errors
    ///
    /// Why it is not answered.
    pub fn handle_v6(&mut self, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        let reply = v6::reply(&self.settings, message);
        match reply {
            Ok(_) => self.stats.informed_v6 += 1,
            Err(refusal) => self.stats.refused(refusal),
        }
        reply
    }

    /// Ends what is over, and gives the addresses back.
    pub fn expire(&mut self, now: Timestamp, pool: &mut dyn Pool) {
        for (port, place) in &mut self.places {
            for address in place.expire(now) {
                pool.give_back(*port, address);
            }
        }
        self.static_leases.expire(now);
    }

    /// Returns the leases, by port and address.
    pub fn leases(&self, now: Timestamp) -> Vec<Lease> {
        let places = self.places.values();
        let of_places = places.flat_map(|place| place.own.iter().chain(place.leases.values()));
        let all = of_places.chain(self.static_leases.bound());
        let mut leases: Vec<_> = all.filter(|lease| lease.expires > now).cloned().collect();
        leases.sort_by_key(|lease| (lease.port, lease.address));
        leases
    }

    /// Returns what the server did so far.
    pub const fn stats(&self) -> &ServerStats {
        &self.stats
    }

    fn serve(
        &mut self,
        now: Timestamp,
        from: Asker,
        message: &[u8],
        pool: &mut dyn Pool,
    ) -> Result<Option<Reply>, Refusal> {
        let request = Request::read(message)?;
        if request.mac != from.mac {
            return Err(Refusal::ForeignMac);
        }
        let place = self.places.get_mut(&from.port);
        let place = place.ok_or(Refusal::UnknownPort)?;
        for address in place.expire(now) {
            pool.give_back(from.port, address);
        }
        let Self {
            settings,
            static_leases,
            stats,
            ..
        } = self;
        let mut turn = Turn {
            now,
            port: from.port,
            settings,
            static_leases,
            stats,
            place,
            pool,
        };
        turn.serve(&request)
    }
}
