//! How much is measured.

use std::time::Duration;

use super::search::Search;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// As results name it.
    pub kind: &'static str,
    /// Customers who pay.
    pub customers: usize,
    /// WebSockets of each.
    pub sockets_each: usize,
    /// Before the first figure.
    pub first_warm_up: Duration,
    /// Of an idle bank.
    pub idle: Duration,
    /// Of each step, not measured.
    pub warm_up: Duration,
    /// Of each step of the search.
    pub searched: Duration,
    /// Of each level.
    pub measured: Duration,
    /// The search for the capacity.
    pub search: Search,
    /// Of each floor.
    pub floor_samples: usize,
    /// In the browser.
    pub actions: usize,
    /// Commands that wait for the handler alone.
    pub backlog: usize,
    /// How often they are drained.
    pub drains: usize,
    /// Commands that wait while its memory is watched.
    pub memory_backlog: usize,
    /// Of the handler that is drained alone.
    pub accounts: u32,
    /// Whether one load is all there is.
    pub is_one_load: bool,
    /// Whether there is a cluster of our own, with all that can be measured there.
    pub has_own_cluster: bool,
}

impl Sizes {
    /// At most six minutes.
    #[must_use]
    pub fn quick() -> Sizes {
        Sizes {
            kind: "quick",
            customers: 300,
            sockets_each: 3,
            first_warm_up: Duration::from_secs(6),
            idle: Duration::from_secs(20),
            warm_up: Duration::from_secs(1),
            searched: Duration::from_secs(4),
            measured: Duration::from_secs(6),
            search: Search {
                ladder: vec![500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0],
                tries: 2,
                bisections: 3,
            },
            floor_samples: 60,
            actions: 20,
            backlog: 20_000,
            drains: 2,
            memory_backlog: 20_000,
            accounts: 2_000,
            is_one_load: false,
            has_own_cluster: true,
        }
    }

    /// Everything, in about twenty minutes.
    #[must_use]
    pub fn full() -> Sizes {
        Sizes {
            kind: "full",
            first_warm_up: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            warm_up: Duration::from_secs(5),
            searched: Duration::from_secs(20),
            measured: Duration::from_secs(30),
            search: Search {
                ladder: vec![
                    100.0, 200.0, 400.0, 800.0, 1_600.0, 3_200.0, 6_400.0, 12_800.0,
                ],
                tries: 2,
                bisections: 4,
            },
            floor_samples: 300,
            actions: 60,
            drains: 5,
            memory_backlog: 150_000,
            accounts: 10_000,
            ..Sizes::quick()
        }
    }

    /// A bank that runs already, of which only the gateway is known.
    #[must_use]
    pub fn target() -> Sizes {
        Sizes {
            kind: "target",
            has_own_cluster: false,
            ..Sizes::quick()
        }
    }

    /// A modest load for long; how long is asked for.
    #[must_use]
    pub fn soak() -> Sizes {
        Sizes {
            kind: "soak",
            first_warm_up: Duration::from_secs(1),
            is_one_load: true,
            ..Sizes::quick()
        }
    }

    /// One load, while the Kafka clients tell of themselves.
    #[must_use]
    pub fn statistics() -> Sizes {
        Sizes {
            kind: "statistics",
            is_one_load: true,
            ..Sizes::quick()
        }
    }

    /// Seconds instead of minutes, to see that everything works.
    #[must_use]
    pub fn smoke() -> Sizes {
        Sizes {
            kind: "smoke",
            customers: 40,
            first_warm_up: Duration::from_secs(1),
            idle: Duration::from_secs(3),
            searched: Duration::from_secs(1),
            measured: Duration::from_secs(2),
            search: Search {
                ladder: vec![200.0, 1_000.0],
                tries: 1,
                bisections: 1,
            },
            floor_samples: 20,
            actions: 10,
            backlog: 5_000,
            drains: 1,
            memory_backlog: 5_000,
            accounts: 300,
            ..Sizes::quick()
        }
    }
}
