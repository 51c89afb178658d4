//! What is lost and what happens twice when a handler is killed again and again at work.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use crate::board::{Board, Repeats};
use crate::commands::Commands;
use crate::database;
use crate::error::Error;
use crate::generator;
use crate::installation::{Installation, Mode, Running};
use crate::numbers::whole;
use crate::workload::{self, Payment, Workload};

/// Outcomes that must come between two kills, so that the handler dies at work.
const OUTCOMES_BETWEEN: usize = 200;
/// A restarted handler has this long to answer again.
const PATIENCE: Duration = Duration::from_secs(60);
/// When nothing new has come for so long, what is missing is lost.
const SILENCE: Duration = Duration::from_secs(15);
/// At most this long a load, whatever happens.
const LOAD_MAX: Duration = Duration::from_secs(240);

/// What the kills did.
#[derive(Clone, Debug, Serialize)]
pub struct Kills {
    /// How commands were decided.
    pub mode: Mode,
    /// Commands per second.
    pub rate: u32,
    /// How often the handler was killed.
    pub kills: u32,
    /// Commands sent.
    pub commands: usize,
    /// Commands that were never answered.
    pub outcomes_lost: u64,
    /// Changes of balances that confirmed commands should have given and that never came.
    pub changes_lost: u64,
    /// Outcomes that came again.
    pub outcomes_repeated: Repeats,
    /// Changes that came again; with other bytes it is a change that happened twice.
    pub changes_repeated: Repeats,
    /// Accounts whose balance in the books is not what the answers say.
    pub accounts_wrong: usize,
    /// Money made, or lost when negative, in cents: all payments are between own accounts.
    pub money_made_cents: i64,
}

impl Kills {
    /// Effects that are missing.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.outcomes_lost + self.changes_lost
    }

    /// Effects that happened more than once: events with other bytes, and accounts that
    /// were changed by more, or less, than was answered.
    #[must_use]
    pub fn doubled(&self) -> u64 {
        self.outcomes_repeated.different
            + self.changes_repeated.different
            + self.accounts_wrong as u64
    }
}

/// Kills a handler `kills` times under a steady load, starts it again at once each time,
/// and compares at the end.
///
/// # Errors
/// When the handler does not come back.
pub fn kills(
    installation: &mut Installation,
    mode: Mode,
    rate: u32,
    kills: u32,
) -> Result<Kills, Error> {
    let run = installation.next_run();
    let most = whole(LOAD_MAX.as_secs_f64() * f64::from(rate));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let accounts = installation.accounts.len();
    let payments = workload::payments(Workload::Hot50, accounts, most, u64::from(run));
    let (headers, accounts) = (&installation.headers, &installation.accounts);
    let commands = Commands::payments(headers, accounts, &payments, run);
    let mut handler = installation.start(mode, None)?;
    installation.wait_until_it_works(&mut handler)?;
    // That one command moved money, too: balances are read after it.
    handler.stop()?;
    let before = balances(installation, mode)?;
    let mut handler = installation.start(mode, None)?;
    installation.observer.begin(Board::new(run, most, 2));
    let clock = installation.clock;
    let sending = generator::send_steadily(&installation.kafka, commands, rate, 0, clock)?;
    for _ in 0..kills {
        wait_for_more(installation, &mut handler)?;
        handler.kill()?;
        handler = installation.start(mode, None)?;
    }
    wait_for_more(installation, &mut handler)?;
    let sent = sending.stop()?;
    wait_until_silent(installation, sent.due)?;
    handler.stop()?;
    installation.wait_until_nobody_is_connected()?;
    let board = installation.observer.end();
    let after = balances(installation, mode)?;
    let (accounts_wrong, money_made_cents) =
        compare(installation, &before, &after, &payments[..sent.due], &board);
    Ok(Kills {
        mode,
        rate,
        kills,
        commands: sent.due,
        outcomes_lost: board.without_outcome(sent.due),
        changes_lost: board.changes_missing(sent.due),
        outcomes_repeated: board.repeated_outcomes,
        changes_repeated: board.repeated_changes,
        accounts_wrong,
        money_made_cents,
    })
}

/// Lets the handler work for a while.
fn wait_for_more(installation: &Installation, handler: &mut Running) -> Result<(), Error> {
    let enough = installation.observer.ask(|board| board.outcomes) + OUTCOMES_BETWEEN;
    installation.wait(
        handler,
        PATIENCE,
        |board| board.outcomes >= enough,
        |board| format!("outcomes after a kill ({} are there)", board.outcomes),
    )
}

fn wait_until_silent(installation: &Installation, commands: usize) -> Result<(), Error> {
    const LOOK: Duration = Duration::from_millis(50);
    let mut last = (0, 0);
    let mut silent = Duration::ZERO;
    loop {
        let (now, complete) = installation.observer.ask(|board| {
            let seen = (board.outcomes, board.changes);
            (seen, board.is_complete(commands))
        });
        if complete || silent >= SILENCE {
            return Ok(());
        }
        silent = if now == last { silent + LOOK } else { LOOK };
        last = now;
        installation.pause(LOOK)?;
    }
}

fn balances(installation: &Installation, mode: Mode) -> Result<HashMap<String, i64>, Error> {
    installation.runtime.block_on(async {
        let client = database::connect(&installation.names.database_url).await?;
        database::balances(&client, mode.balances_query()).await
    })
}

/// Accounts whose balance changed by another amount than their confirmed payments, and
/// by how much all balances together changed.
fn compare(
    installation: &Installation,
    before: &HashMap<String, i64>,
    after: &HashMap<String, i64>,
    payments: &[Payment],
    board: &Board,
) -> (usize, i64) {
    let mut expected = before.clone();
    for (index, payment) in payments.iter().enumerate() {
        if board.is_confirmed(index) {
            let sides = [
                (payment.payer, -payment.amount),
                (payment.payee, payment.amount),
            ];
            for (account, delta) in sides {
                let iban = &installation.accounts[account].iban;
                *expected.entry(iban.clone()).or_default() += delta;
            }
        }
    }
    let wrong = expected
        .iter()
        .filter(|(iban, balance)| after.get(*iban) != Some(balance))
        .count();
    let made = after.values().sum::<i64>() - before.values().sum::<i64>();
    (wrong, made)
}
