//! The gateway's parts, as every request sees them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;

use crate::answer::Refusal;
use crate::commands::Commands;
use crate::figures::Figures;
use crate::identity::{Passwords, SessionToken, Throttle, TokenVault, Viewer};
use crate::journeys::Journeys;
use crate::limits::Limits;
use crate::live::hub::Hub;
use crate::origin::Origin;
use crate::pace_maker::PaceMaker;
use crate::results::Results;
use crate::status::Board;
use crate::steps::Steps;
use crate::store::Store;
use crate::topic_records::TopicRecords;

/// Wrong tries to log in, per user name and minute.
pub const LOG_INS_PER_USER: u32 = 5;
/// Wrong tries to log in, per address and minute.
pub const LOG_INS_PER_ADDRESS: u32 = 30;
/// Accounts opened, per address and minute.
pub const SIGN_UPS_PER_ADDRESS: u32 = 600;

/// Stretches of topics read for an address, per minute: each is work for the broker.
pub const READS_PER_ADDRESS: u32 = 240;
/// Turns of the knob of the simulated public, per address and minute.
pub const KNOB_PER_ADDRESS: u32 = 120;

/// What all requests share.
pub struct Gateway {
    /// Users and read model.
    pub store: Store,
    /// The way to the bank.
    pub commands: Commands,
    /// Subscribers.
    pub hub: Arc<Hub>,
    /// The hasher.
    pub passwords: Passwords,
    /// Account tokens at rest.
    pub vault: Arc<TokenVault>,
    /// How fast the simulated public is.
    pub pace_maker: PaceMaker,
    /// Records as people look at them.
    pub records: Arc<TopicRecords>,
    /// When the newest commands passed the places that only this gateway sees.
    pub journeys: Arc<Journeys>,
    /// How the bank is.
    pub board: Arc<Board>,
    /// What is told as metrics.
    pub figures: Figures,
    /// Results of benchmarks.
    pub results: Results,
    /// Wrong tries by user name.
    pub log_ins_by_user: Throttle<String>,
    /// Wrong tries by address.
    pub log_ins_by_address: Throttle<IpAddr>,
    /// New accounts by address.
    pub sign_ups_by_address: Throttle<IpAddr>,
    /// Stretches of topics read, by address.
    pub reads_by_address: Throttle<IpAddr>,
    /// Turns of the knob of the simulated public, by address.
    pub knob_by_address: Throttle<IpAddr>,
    /// Demo users, and a public company account.
    pub demo_mode: bool,
    /// Names under which a browser may reach us, beside addresses of machines.
    pub host_names: Vec<String>,
    /// On connections.
    pub limits: Limits,
    /// Watched in tests only.
    pub steps: Steps,
    /// When this process started.
    pub started_at: DateTime<Utc>,
}

impl Gateway {
    /// Counts a stretch of a topic that is read for somebody.
    ///
    /// # Errors
    /// RATE_LIMITED
    pub fn throttle_reads(&self, caller: &Caller) -> Result<(), Refusal> {
        let begun = self.reads_by_address.begin(&caller.address, Instant::now());
        begun.map_err(Refusal::rate_limited)
    }

    /// Counts a turn of the knob of the simulated public.
    ///
    /// # Errors
    /// RATE_LIMITED
    pub fn throttle_knob(&self, caller: &Caller) -> Result<(), Refusal> {
        let begun = self.knob_by_address.begin(&caller.address, Instant::now());
        begun.map_err(Refusal::rate_limited)
    }
}

/// Who sends a request: known by a session, looked up once when a field needs it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The session shown, if any.
    pub session: Option<SessionToken>,
    /// Where the request comes from.
    pub address: IpAddr,
    /// What its commands are to carry.
    pub origin: Origin,
    viewer: Arc<OnceCell<Option<Arc<Viewer>>>>,
    known: Option<Arc<Viewer>>,
}

impl Caller {
    /// Somebody with this session at this address.
    #[must_use]
    pub fn new(session: Option<SessionToken>, address: IpAddr) -> Caller {
        Caller {
            session,
            address,
            origin: Origin::now(),
            viewer: Arc::default(),
            known: None,
        }
    }

    /// The same caller for another operation: the session is looked up again.
    #[must_use]
    pub fn again(&self) -> Caller {
        Caller {
            known: self.viewer.get().cloned().flatten(),
            ..Caller::new(self.session.clone(), self.address)
        }
    }

    /// The same caller within a trace of theirs.
    #[must_use]
    pub fn within(mut self, trace_parent: Option<&str>) -> Caller {
        self.origin.continue_trace(trace_parent);
        self
    }

    /// Who it is; `None` for anybody.
    ///
    /// # Errors
    /// UNAVAILABLE when the database does not answer.
    pub async fn viewer(&self, store: &Store) -> Result<Option<&Viewer>, Refusal> {
        let Some(session) = &self.session else {
            return Ok(None);
        };
        let viewer = self
            .viewer
            .get_or_try_init(async || Ok::<_, Refusal>(store.viewer(session).await?.map(Arc::new)))
            .await?;
        Ok(viewer.as_deref())
    }

    /// The session, and who held it when an earlier operation looked it up: only for who asks
    /// the database himself whether it still holds.
    #[must_use]
    pub fn known(&self) -> Option<(&SessionToken, &Viewer)> {
        self.session.as_ref().zip(self.known.as_deref())
    }
}
