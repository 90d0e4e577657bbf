//! Fragments: the later ones go the way of the first one of their packet.
//!
//! The first fragment has the ports, so it is translated like a whole packet, and the way that it went is
//! kept in [`Fragments`](crate::fragments::Fragments). What becomes of the first becomes of all: if it
//! is dropped, or is for the gateway, which reassembles nothing, the others are dropped too.
//!
//! Fragments that need no translation are not kept track of: those for addresses that are not external,
//! and those of sandboxes that are not masqueraded, unless the sandbox publishes ports, so that its
//! answers need it.

use core::net::IpAddr;

use tapweave_net::{Fragment, Frame, ParsedFrame};

use crate::NatDrop;
use crate::fragments::Later;
use crate::nat::{Nat, Pass};
use crate::packet::{FragmentPart, renumber, rewrite_later};
use crate::table::{Realm, Tuple};

/// The way that the fragments of a packet go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To a realm, with other addresses.
    To {
        realm: Realm,
        src: IpAddr,
        dst: IpAddr,
        /// What the packet's Identification becomes, if it does not stay.
        id: Option<u16>,
    },
    /// On, as they are.
    AsItIs,
}

impl Way {
    /// Returns the way of a packet that goes against the direction of `other`, and gets this Identification.
    pub(super) fn against(other: &Tuple, id: Option<u16>) -> Self {
        Self::To {
            realm: other.realm,
            src: other.dst.ip(),
            dst: other.src.ip(),
            id,
        }
    }

    /// Gives a later fragment the addresses and the Identification of the way.
    pub(super) fn apply(&self, frame: &mut Frame<'_>, parsed: &ParsedFrame) -> Result<(), NatDrop> {
        match *self {
            Self::To { src, dst, id, .. } => {
                rewrite_later(frame, parsed, src, dst)?;
                Ok(id.map_or(Ok(()), |id| renumber(frame, parsed, id))?)
            }
            Self::AsItIs => Ok(()),
        }
    }
}

impl Nat {
    /// If `frame` is the first fragment of a packet and goes `way`, remembers that and hands out what
    /// waited for it. To be called before it is changed.
    #[inline]
    pub(super) fn lead<V>(
        &self,
        pass: &Pass<'_>,
        realm: Realm,
        (frame, parsed): (&Frame<'_>, &ParsedFrame),
        way: impl FnOnce() -> Way,
        emit: &mut dyn FnMut(&mut Frame<'_>, V),
        verdict: impl Fn(&Way) -> V,
    ) -> Result<(), NatDrop> {
        if parsed.fragment() != Fragment::First {
            return Ok(());
        }
        self.lead_first(pass, realm, (frame, parsed), way(), &mut |frame, way| {
            emit(frame, verdict(&way));
        })
    }

    #[cold]
    fn lead_first(
        &self,
        pass: &Pass<'_>,
        realm: Realm,
        (frame, parsed): (&Frame<'_>, &ParsedFrame),
        way: Way,
        emit: &mut dyn FnMut(&mut Frame<'_>, Way),
    ) -> Result<(), NatDrop> {
        let part = FragmentPart::read(frame.data(), parsed)?;
        let mut follow = |frame: &mut Frame<'_>, parsed: &ParsedFrame, way: Way| {
            if way.apply(frame, parsed).is_ok() {
                emit(frame, way);
            }
        };
        self.fragments
            .first(pass.now, realm, &part, way, &mut follow)
            .map_err(|_reason| NatDrop::Fragment)
    }

    /// Notes that a packet does not go on, if it is the first fragment of one.
    #[cold]
    pub(crate) fn lead_nowhere(
        &self,
        pass: &Pass<'_>,
        realm: Realm,
        frame: &Frame<'_>,
        parsed: &ParsedFrame,
    ) {
        if parsed.fragment() == Fragment::First
            && let Ok(part) = FragmentPart::read(frame.data(), parsed)
        {
            self.fragments.refuse(pass.now, realm, &part);
        }
    }

    /// Sends a later fragment on its way, which it returns; nothing if it has to wait.
    #[cold]
    pub(super) fn follow_first(
        &self,
        pass: &Pass<'_>,
        realm: Realm,
        (frame, parsed): (&mut Frame<'_>, &ParsedFrame),
        part: &FragmentPart,
    ) -> Result<Option<Way>, NatDrop> {
        let later = self.fragments.later(pass.now, realm, part, frame, parsed);
        match later.map_err(|_reason| NatDrop::Fragment)? {
            Later::Held => Ok(None),
            Later::Follow(way) => {
                way.apply(frame, parsed)?;
                Ok(Some(way))
            }
        }
    }
}
