//! How a network treats multicast.

/// Most memberships that a network may have; a larger limit is taken as this one.
///
/// A membership takes about 300 bytes in the map, the timers and what is published, so this is 300 MB. The
/// memory is taken when it is needed.
pub const MDB_LIMIT_MAX: u32 = 1 << 20;

/// Whether and how a network limits multicast to those who listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnoopingConfig {
    /// Whether the switch asks who listens when nobody else does.
    pub querier: QuerierRole,
    /// Whether a port leaves a group without being asked again.
    pub fast_leave: FastLeave,
    /// Whether queries from ports are refused.
    pub query_guard: QueryGuard,
    /// Most memberships (one port in one group) of the network, up to [`MDB_LIMIT_MAX`]. One port has at
    /// most an eighth of them.
    pub mdb_limit: u32,
}

/// Whether the switch asks who listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum QuerierRole {
    /// It only listens. Groups are limited once a router or another switch asks.
    #[default]
    Listener,
    /// It asks while nobody else does.
    Querier,
}

/// What a leave does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FastLeave {
    /// The port is asked whether somebody else there listens.
    #[default]
    Off,
    /// The port leaves at once.
    On,
}

/// Whether ports may ask who listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum QueryGuard {
    /// Whoever asks is believed to be a router.
    #[default]
    Off,
    /// Queries from ports are dropped.
    On,
}

impl Default for SnoopingConfig {
    /// Snooping without a querier, for 16,384 memberships: five for each of 3,000 sandboxes.
    fn default() -> Self {
        Self {
            querier: QuerierRole::default(),
            fast_leave: FastLeave::default(),
            query_guard: QueryGuard::default(),
            mdb_limit: 16_384,
        }
    }
}
