//! JSON Schemas of the texts that the API takes and gives, for its OpenAPI document.
//!
//! Structs and enums have theirs derived. Here are those of types that are written as texts: a pattern
//! that every valid text fits, and the sentence that a reader needs. Types of other crates have a marker
//! of their own here, which fields name by `#[schemars(with = "…")]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::EventId;
use crate::{GatewayPriority, Id, IfName, Name, PortRange, PublishSpec};

/// A MAC address.
#[derive(Debug)]
pub(crate) struct Mac;

/// A prefix, or an address with the length of its prefix.
#[derive(Debug)]
pub(crate) struct Prefix;

/// A VLAN identifier.
#[derive(Debug)]
pub(crate) struct Vlan;

/// A set of VLAN identifiers.
#[derive(Debug)]
pub(crate) struct Vlans;

/// Gives a type the schema `{$schema}` under `$name`.
macro_rules! schema {
    ($type:ty, $name:literal, {$($schema:tt)*}) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
                json_schema!({$($schema)*})
            }
        }
    };
}

schema!(Name, "Name", {
    "type": "string",
    "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$",
    "maxLength": 255,
    "description": "The name of a network, sandbox or alias.",
    "examples": ["blue"]
});

schema!(Id, "Id", {
    "type": "string",
    "pattern": "^[0-9a-f]{64}$",
    "description": "The id of a network, sandbox or endpoint, which nothing else ever has."
});

schema!(IfName, "IfName", {
    "type": "string",
    "pattern": "^[^/:%\\s]+$",
    "minLength": 1,
    "maxLength": 15,
    "description": "The name of a network interface, as the kernel takes it: at most 15 bytes.",
    "examples": ["eth0"]
});

schema!(EventId, "EventId", {
    "type": "string",
    "pattern": "^(0|[1-9a-f][0-9a-f]*)-(0|[1-9][0-9]*)$",
    "description": "Names an event: the run of the daemon, and the number of the event in it.",
    "examples": ["18a2f0c31b7d9e00-17"]
});

schema!(PublishSpec, "PublishSpec", {
    "type": "string",
    "description": "Ports of a sandbox that the outside is to reach: `[IP:][HOSTPORT[-END]:]PORT[-END][/PROTO]`, as Docker writes it. IPv6 addresses stand in brackets.",
    "examples": ["8080:80/tcp"]
});

schema!(PortRange, "PortRange", {
    "type": "string",
    "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$",
    "description": "A port, or the first and the last of several.",
    "examples": ["8000-8009"]
});

schema!(GatewayPriority, "GatewayPriority", {
    "type": "integer",
    "minimum": -31,
    "maximum": 31,
    "default": 0,
    "description": "Which of a sandbox's networks gives the default routes: that with the highest priority."
});

schema!(Mac, "MacAddr", {
    "type": "string",
    "pattern": "^([0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}|[0-9a-fA-F]{2}(-[0-9a-fA-F]{2}){5})$",
    "description": "A MAC address.",
    "examples": ["02:00:0a:c0:00:02"]
});

schema!(Prefix, "Prefix", {
    "type": "string",
    "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$",
    "description": "A prefix, or an address with the length of its prefix.",
    "examples": ["10.192.0.0/24", "fd00::/64"]
});

schema!(Vlan, "Vid", {
    "type": "integer",
    "minimum": 1,
    "maximum": 4094,
    "description": "A VLAN identifier (IEEE 802.1Q)."
});

schema!(Vlans, "VidSet", {
    "type": "string",
    "pattern": "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$",
    "description": "VLAN identifiers and ranges of them.",
    "examples": ["10,20-29"]
});
