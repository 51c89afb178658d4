//! The gateway's parts, as every request sees them.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;

use crate::answer::Refusal;
use crate::commands::Commands;
use crate::identity::{Passwords, SessionToken, Throttle, TokenVault, Viewer};
use crate::limits::Limits;
use crate::live::hub::Hub;
use crate::pace_maker::PaceMaker;
use crate::steps::Steps;
use crate::store::Store;
use crate::trail::Trails;

/// Wrong tries to log in, per user name and minute.
pub const LOG_INS_PER_USER: u32 = 5;
/// Wrong tries to log in, per address and minute.
pub const LOG_INS_PER_ADDRESS: u32 = 30;
/// Accounts opened, per address and minute.
pub const SIGN_UPS_PER_ADDRESS: u32 = 600;

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
    /// Commands on their way through the topics.
    pub trails: Trails,
    /// Wrong tries by user name.
    pub log_ins_by_user: Throttle<String>,
    /// Wrong tries by address.
    pub log_ins_by_address: Throttle<IpAddr>,
    /// New accounts by address.
    pub sign_ups_by_address: Throttle<IpAddr>,
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

/// Who sends a request: known by a session, looked up once when a field needs it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The session shown, if any.
    pub session: Option<SessionToken>,
    /// Where the request comes from.
    pub address: IpAddr,
    viewer: Arc<OnceCell<Option<Viewer>>>,
}

impl Caller {
    /// Somebody with this session at this address.
    #[must_use]
    pub fn new(session: Option<SessionToken>, address: IpAddr) -> Caller {
        Caller {
            session,
            address,
            viewer: Arc::default(),
        }
    }

    /// The same caller for another operation: the session is looked up again.
    #[must_use]
    pub fn again(&self) -> Caller {
        Caller::new(self.session.clone(), self.address)
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
            .get_or_try_init(|| store.viewer(session))
            .await?;
        Ok(viewer.as_ref())
    }
}
