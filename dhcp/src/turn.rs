//! What becomes of one message of a client.

use core::net::Ipv4Addr;
use core::time::Duration;

use tapweave_net::{PortNo, Timestamp};

use crate::lease::{Addressing, KeptLease, Lease, LeaseState, Origin, Place, Pool};
use crate::settings::{MIN_LEASE_TIME, Settings};
use crate::static_leases::StaticLeases;
use crate::v4::{Answer, Kind, Request};
use crate::{ClientKey, Refusal, Reply, ServerStats, answer};

/// How long an offer waits for its client, which may be comparing offers for seconds (RFC 2131 §4.4.1).
const OFFER_TIME: Duration = Duration::from_mins(1);

/// One message and what it is served from.
pub(crate) struct Turn<'a> {
    pub(crate) now: Timestamp,
    pub(crate) port: PortNo,
    pub(crate) settings: &'a Settings,
    pub(crate) static_leases: &'a mut StaticLeases,
    pub(crate) stats: &'a mut ServerStats,
    pub(crate) place: &'a mut Place,
    pub(crate) pool: &'a mut dyn Pool,
}

/// Whose address a request is about.
enum Binding {
    /// The endpoint's own.
    Own(Ipv4Addr),
    /// The one that was fixed for a machine behind the port.
    Static(Ipv4Addr),
    /// One of the pool.
    Pool,
}

impl Turn<'_> {
    pub(crate) fn serve(&mut self, request: &Request) -> Result<Option<Reply>, Refusal> {
        if request.kind == Kind::Inform {
            return self.inform(request).map(Some);
        }
        let station = &self.place.station;
        let behind = || {
            let fixed = self.static_leases.address_for(request);
            fixed.map_or(Binding::Pool, Binding::Static)
        };
        let binding = match (station.addressing, station.address) {
            _ if request.mac != station.mac => behind(),
            (Addressing::Fixed, _) => return Err(Refusal::Fixed),
            (Addressing::Asked, Some(address)) => Binding::Own(address),
            (Addressing::Asked, None) => behind(),
        };
        match request.kind {
            Kind::Discover => self.discover(request, &binding).map(Some),
            Kind::Request => self.request(request, &binding),
            Kind::Decline => self.decline(request, &binding).map(|()| None),
            Kind::Release => self.release(request, &binding).map(|()| None),
            Kind::Inform => Ok(None),
        }
    }

    /// RFC 2131 §4.3.1.
    fn discover(&mut self, request: &Request, binding: &Binding) -> Result<Reply, Refusal> {
        self.stats.discovered += 1;
        let address = match *binding {
            Binding::Own(address) | Binding::Static(address) => address,
            Binding::Pool => self.offer(request)?,
        };
        self.stats.offered += 1;
        self.lease_answer(request, Answer::Offer, address)
    }

    /// Returns the address of the pool that a client has or is offered.
    fn offer(&mut self, request: &Request) -> Result<Ipv4Addr, Refusal> {
        let expires = self.now + OFFER_TIME;
        if let Some(lease) = self.place.leases.get_mut(&request.key) {
            lease.expires = lease.expires.max(expires);
            return Ok(lease.address);
        }
        self.check_limit()?;
        let wanted = request.requested;
        let taken = self.pool.take(self.port, &request.key, wanted);
        let address = taken.ok_or(Refusal::Exhausted)?;
        self.note(request, address, LeaseState::Offered, expires);
        Ok(address)
    }

    /// RFC 2131 §4.3.2.
    fn request(&mut self, request: &Request, binding: &Binding) -> Result<Option<Reply>, Refusal> {
        self.stats.requested += 1;
        if let Some(server) = request.server
            && !self.settings.is_server(server)
        {
            self.forget_offer(&request.key);
            return Err(Refusal::OtherServer);
        }
        // SELECTING and INIT-REBOOT name the address in an option, RENEWING and REBINDING have it.
        let named = request.requested;
        let had = Some(request.client_address).filter(|address| !address.is_unspecified());
        let wanted = named.or(had).ok_or(Refusal::Malformed)?;
        let is_granted = match *binding {
            Binding::Own(address) | Binding::Static(address) => wanted == address,
            Binding::Pool => self.bind(request, wanted)?,
        };
        if !is_granted {
            self.stats.refused_requests += 1;
            return Ok(Some(answer::nak(request, self.settings)));
        }
        let expires = self.now + self.lease_time(request);
        match *binding {
            Binding::Own(address) => {
                let lease = self.lease(request, address, LeaseState::Bound, expires);
                self.place.own = Some(Lease {
                    origin: Origin::Endpoint,
                    ..lease
                });
            }
            Binding::Static(address) => {
                // It may have had another one before that one was fixed.
                if let Some(before) = self.place.leases.remove(&request.key) {
                    self.pool.give_back(self.port, before.address);
                }
                let lease = self.lease(request, address, LeaseState::Bound, expires);
                self.static_leases.bind(lease);
            }
            Binding::Pool => {}
        }
        self.stats.acknowledged += 1;
        self.lease_answer(request, Answer::Ack, wanted).map(Some)
    }

    /// Gives a client the address that it asks for; tells whether it has it now.
    fn bind(&mut self, request: &Request, wanted: Ipv4Addr) -> Result<bool, Refusal> {
        let known = self.place.leases.get(&request.key);
        let is_kept = match known {
            Some(lease) if lease.address != wanted => return Ok(false),
            Some(lease) => lease.state == LeaseState::Bound,
            None => {
                // One that comes back after its lease, or a restart of ours, keeps what it had if nobody else has it.
                if self.settings.gateway_of(wanted).is_none() {
                    return Ok(false);
                }
                self.check_limit()?;
                if !self.pool.take_exactly(self.port, &request.key, wanted) {
                    return Ok(false);
                }
                false
            }
        };
        let kept = KeptLease {
            address: wanted,
            client: request.key.clone(),
            mac: request.mac,
            host_name: request.host_name.clone(),
        };
        if !is_kept && !self.pool.keep(self.port, &kept) {
            self.place.leases.remove(&request.key);
            self.pool.give_back(self.port, wanted);
            return Err(Refusal::NotStored);
        }
        let expires = self.now + self.lease_time(request);
        self.note(request, wanted, LeaseState::Bound, expires);
        Ok(true)
    }

    /// RFC 2131 §4.3.3.
    fn decline(&mut self, request: &Request, binding: &Binding) -> Result<(), Refusal> {
        let refused = request.requested.ok_or(Refusal::Malformed)?;
        if self.take_out(&request.key, refused, binding)? {
            self.pool.set_aside(self.port, refused);
        }
        self.stats.declined += 1;
        Ok(())
    }

    /// RFC 2131 §4.3.4.
    fn release(&mut self, request: &Request, binding: &Binding) -> Result<(), Refusal> {
        let address = request.client_address;
        if self.take_out(&request.key, address, binding)? {
            self.pool.give_back(self.port, address);
        }
        self.stats.released += 1;
        Ok(())
    }

    /// RFC 2131 §4.3.5: the client has an address, wherever from, and wants to know the rest.
    fn inform(&mut self, request: &Request) -> Result<Reply, Refusal> {
        let reply = answer::informed(request, self.settings, &self.place.station);
        let reply = reply.ok_or(Refusal::Malformed)?;
        self.stats.informed += 1;
        Ok(reply)
    }

    fn lease_answer(
        &self,
        request: &Request,
        kind: Answer,
        address: Ipv4Addr,
    ) -> Result<Reply, Refusal> {
        let time = self.lease_time(request);
        let station = &self.place.station;
        // The gateway has an address in every subnet that addresses are leased from.
        answer::leased(request, self.settings, station, kind, (address, time))
            .ok_or(Refusal::Exhausted)
    }

    /// Returns how long a lease lasts: not longer than the client wants it.
    fn lease_time(&self, request: &Request) -> Duration {
        let longest = self.settings.lease_time.max(MIN_LEASE_TIME);
        let wanted = request
            .lease_time
            .map(|secs| Duration::from_secs(secs.into()));
        wanted.unwrap_or(longest).clamp(MIN_LEASE_TIME, longest)
    }

    fn check_limit(&self) -> Result<(), Refusal> {
        if self.place.leases.len() >= self.settings.leases_of_port {
            return Err(Refusal::PortLimit);
        }
        Ok(())
    }

    fn lease(
        &self,
        request: &Request,
        address: Ipv4Addr,
        state: LeaseState,
        expires: Timestamp,
    ) -> Lease {
        Lease {
            port: self.port,
            address,
            client: request.key.clone(),
            mac: request.mac,
            host_name: request.host_name.clone(),
            origin: Origin::Pool,
            state,
            expires,
        }
    }

    fn note(
        &mut self,
        request: &Request,
        address: Ipv4Addr,
        state: LeaseState,
        expires: Timestamp,
    ) {
        let lease = self.lease(request, address, state, expires);
        self.place.leases.insert(request.key.clone(), lease);
    }

    /// Takes the address out of what the client has, and tells whether it is one of the pool.
    fn take_out(
        &mut self,
        client: &ClientKey,
        address: Ipv4Addr,
        binding: &Binding,
    ) -> Result<bool, Refusal> {
        let has = |lease: &Lease| lease.address == address;
        match *binding {
            Binding::Own(own) if own == address => self.place.own = None,
            Binding::Static(own)
                if own == address && self.static_leases.unbind(self.port, address) => {}
            Binding::Pool if self.place.leases.get(client).is_some_and(has) => {
                self.place.leases.remove(client);
            }
            Binding::Own(_) | Binding::Static(_) | Binding::Pool => return Err(Refusal::NoLease),
        }
        Ok(matches!(binding, Binding::Pool))
    }

    fn forget_offer(&mut self, client: &ClientKey) {
        let is_offer = |lease: &Lease| lease.state == LeaseState::Offered;
        let offer = self
            .place
            .leases
            .get(client)
            .filter(|lease| is_offer(lease));
        if let Some(address) = offer.map(|lease| lease.address) {
            self.place.leases.remove(client);
            self.pool.give_back(self.port, address);
        }
    }
}
