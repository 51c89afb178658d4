//! The opening of the books: the company's account and its money.
//!
//! Booked once, by whoever starts first, like any other transfer: two entries that sum to
//! zero, from `cash` to the company, and one `BalanceChanged`. It has an outcome, but no
//! command in any topic.

use topology::{Cents, Codec, CommandId, EncodeError, Iban, Token};
use tracing::{info, warn};
use uuid::Uuid;

use crate::batch::{Change, LedgerEntry, Outcome, Plan, balance_changed};
use crate::domain::{Account, Accounts, Event, LIMIT, Party, evolve};
use crate::frames::Frames;
use crate::keys::{self, HandlerKey};
use crate::steps::{Interrupted, Step, Steps};
use crate::store::books::{Books, BooksError};

/// What the company starts with: a million million euros, enough for any run of the
/// simulated public and far from any bound.
pub const OPENING_BALANCE: Cents = Cents(100_000_000_000_000);
/// Identity of the opening, the same in every installation.
pub const OPENING_COMMAND_ID: CommandId =
    CommandId(Uuid::from_u128(0x0ba9_c0de_0000_4000_8000_0000_0000_0001));
const DESCRIPTION: &str = "Opening balance";

/// Why the opening was not booked.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    /// The database did not do it. Retried.
    #[error("could not book the opening")]
    Books(#[from] BooksError),
    /// A fault of this program.
    #[error("could not encode the opening")]
    Encode(#[from] EncodeError),
    /// A test wants it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Books the opening unless it is booked; gives the company the token it has now.
///
/// Returns the debt, with its frames, when something was booked.
///
/// # Errors
/// [`OpeningError`]; nothing was written then.
pub async fn book(
    books: &Books,
    token: &Token,
    key: &HandlerKey,
    codec: &Codec,
    steps: &Steps,
) -> Result<Option<crate::emission::Debt>, OpeningError> {
    let company = Iban::company();
    let digest = keys::digest(token.expose());
    let ids = [OPENING_COMMAND_ID];
    let snapshot = books.begin(std::slice::from_ref(&company), &ids, key).await;
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(error) => {
            books.abandon().await?;
            return Err(error.into());
        }
    };
    if let Some(account) = snapshot.accounts.get(&company) {
        if account.token_digest == digest {
            books.abandon().await?;
        } else {
            warn!("the company has another token than before");
            books.replace_token(&company, digest).await?;
            books.commit(&Plan::default()).await?;
        }
        return Ok(None);
    }
    let account = Account {
        iban: company,
        token_digest: digest,
        balance: Cents::ZERO,
        limit: LIMIT,
        version: 0,
    };
    let plan = opening_plan(account, codec)?;
    steps.pass(Step::OpeningDecided)?;
    let debt = books.commit(&plan).await?.ok_or(BooksError::NoDebt)?;
    info!(balance = %OPENING_BALANCE, "opened the books");
    steps.pass(Step::OpeningCommitted)?;
    Ok(Some(crate::emission::Debt {
        id: debt,
        frames: plan.frames,
        journeys: Vec::new(),
    }))
}

fn opening_plan(account: Account, codec: &Codec) -> Result<Plan, EncodeError> {
    let id = OPENING_COMMAND_ID;
    let company = Party::Own(account.iban);
    let accounts: Accounts = std::iter::once(account.clone()).collect();
    let event = Event::MoneyMoved {
        from: Party::Cash,
        to: company,
        amount: OPENING_BALANCE,
    };
    let accounts = evolve(accounts, &event);
    let changed = accounts
        .get(&account.iban)
        .cloned()
        .unwrap_or_else(|| account.clone());
    let mut frames = Frames::default();
    balance_changed(
        &mut frames,
        codec,
        &Change {
            account: &changed,
            delta: OPENING_BALANCE,
            other: &Party::Cash,
            description: DESCRIPTION,
            command_id: id,
            occurred_at_us: chrono::Utc::now().timestamp_micros(),
        },
    )?;
    let entry = |account, delta, after| LedgerEntry {
        command_id: id,
        account,
        delta,
        after,
    };
    Ok(Plan {
        outcomes: vec![Outcome {
            id,
            hash: [0; 16],
            kind: "opening",
            rejection: None,
            observed_version: None,
            source: None,
            frames: 0..frames.len(),
        }],
        entries: vec![
            entry(Party::Cash, Cents(-OPENING_BALANCE.0), None),
            entry(
                Party::Own(changed.iban),
                OPENING_BALANCE,
                Some((changed.version, changed.balance)),
            ),
        ],
        opened: vec![(id, account)],
        changed: vec![changed],
        owed: vec![id],
        frames,
        ..Plan::default()
    })
}
