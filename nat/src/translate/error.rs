//! ICMP errors: which flow or mapping the packet that is quoted belongs to.

use core::net::IpAddr;

use tapweave_net::{Frame, ParsedFrame};

use crate::NatDrop;
use crate::mapping::Internal;
use crate::nat::{Nat, Pass};
use crate::packet::{Ends, ErrorEnds, ErrorPacket, rewrite_error};
use crate::table::{Realm, Tuple};

impl Nat {
    /// Returns the key that packets against the direction of the quoted one have on their side. Its ends
    /// are those of the quoted packet there.
    #[cold]
    pub(super) fn flow_of_error(
        &self,
        pass: &Pass<'_>,
        realm: Realm,
        error: &ErrorPacket,
    ) -> Option<Tuple> {
        let Ends { src, dst } = error.quoted.ends;
        let protocol = error.quoted.protocol;
        let answer = Tuple {
            realm,
            protocol,
            src: dst,
            dst: src,
        };
        if let Some((record, direction)) = self.table.find(&answer, pass.now) {
            return record.tuple(direction.opposite());
        }
        if realm == Realm::OUTSIDE {
            let internal = self.internal_of(pass.now, protocol, src)?;
            return Some(Tuple {
                realm: internal.realm,
                protocol,
                src: internal.endpoint,
                dst,
            });
        }
        let internal = Internal::source_of(&answer);
        Some(Tuple {
            realm: Realm::OUTSIDE,
            protocol,
            src,
            dst: self.external_of(pass.now, &internal)?,
        })
    }
}

/// Rewrites an error so that `src` tells the source of `other` of a packet with that key.
#[cold]
pub(super) fn translate_error(
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
    error: &ErrorPacket,
    src: IpAddr,
    other: &Tuple,
) -> Result<(), NatDrop> {
    let quoted = Ends {
        src: other.src,
        dst: other.dst,
    };
    Ok(rewrite_error(
        frame,
        parsed,
        error,
        &ErrorEnds { src, quoted },
    )?)
}
