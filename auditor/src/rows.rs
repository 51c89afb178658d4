//! Tables into facts.

use std::collections::HashMap;
use std::path::Path;

use crate::cut::Cut;
use crate::database::{Columns, Database};
use crate::facts::{
    ACCOUNT_ANSWERS, AccountRow, CHANGES, CREATION, Decided, Entered, Id, NOWHERE, OF_THE_WHOLE,
    OPENING, OfAccount, OfCommand, Party, Place, ReadAccount, Row, TRANSFER, TRANSFER_ANSWERS,
    digest, topic_number,
};
use crate::iban::is_ours_as_written;
use crate::invariants::Name;
use crate::kafka::Counters;
use crate::reading::bucket_of;
use crate::records::{AMOUNT_MAX, belongs, refusal, split};
use crate::registry::Registry;
use crate::report::CannotCheck;
use crate::spill::{Writer, Written};
use crate::tally::Tally;

/// Microseconds between 1970 and PostgreSQL's 2000.
const EPOCH_US: i64 = 946_684_800_000_000;
/// Largest balance, either side of zero: far from overflow.
const BALANCE_MAX: u64 = 1 << 62;

const OUTCOMES: &str = "select command_id, request_hash, kind, rejection, observed_version, \
     source_topic, source_partition, source_offset, frames from outcome";
const ENTRIES: &str =
    "select command_id, account, version, delta_cents, balance_after_cents from ledger_entry";
const ACCOUNTS: &str =
    "select command_id, iban, balance_cents, limit_cents, version, token_digest from account";
const CHANGED_ROWS: &str = "select relname::text, n_tup_upd + n_tup_del \
     from pg_stat_user_tables where relname in ('outcome', 'ledger_entry')";
const ROWS: &str = "select iban, version, new_balance_cents, changed_by_cents, from_to, \
     description, command_id, occurred_at, source_partition, source_offset \
     from account_transaction";
const READ_ACCOUNTS: &str = "select iban, balance_cents, version from account";
const USERS: &str = "select user_name, count(*) from customer group by 1 having count(*) > 1";

/// What was read of the handler's books.
pub(crate) struct Books {
    pub(crate) of_commands: Written,
    pub(crate) tally: Tally,
    /// Schema ids in stored frames, with where first, to be asked for outside the runtime.
    pub(crate) schema_ids: HashMap<(u32, u8), String>,
    pub(crate) rows: u64,
}

/// Reads the handler's books.
pub(crate) async fn read_books(
    cut: &Cut,
    counters: &Counters,
    scratch: &Path,
) -> Result<Books, CannotCheck> {
    let mut writer = Writer::new(scratch, "books");
    let mut tally = Tally::default();
    let mut schema_ids = HashMap::new();
    let database = &cut.handler;
    let mut rows = database
        .each_row(OUTCOMES, &counters.rows, |row| {
            let id = row.uuid(0)?;
            let decided = outcome(row, cut, &mut schema_ids, &mut tally)?;
            writer.put(bucket_of(id), &OfCommand::Decided(decided).pack(Id(id)))
        })
        .await?;
    let mut sum = 0_i128;
    let entries = database
        .each_row(ENTRIES, &counters.rows, |row| {
            let (id, entry) = entry(row, &mut tally)?;
            sum += i128::from(entry.delta);
            writer.put(bucket_of(id), &OfCommand::Entered(entry).pack(Id(id)))
        })
        .await?;
    tally.checked(Name::A2, entries.saturating_sub(1));
    tally.check(Name::A2, sum == 0, || {
        format!("ledger_entry sums to {sum} cents")
    });
    rows += entries;
    rows += database
        .each_row(ACCOUNTS, &counters.rows, |row| {
            let id = row.uuid(0)?;
            let iban = row.text(1)?;
            tally.check(Name::A7, is_ours_as_written(iban), || {
                format!("account {iban} has no valid number of ours")
            });
            let account = AccountRow {
                account: Party::of(iban),
                balance: row.number(2)?,
                limit: row.number(3)?,
                version: row.number(4)?,
                token: first_eight(row.bytes(5)?),
            };
            writer.put(bucket_of(id), &OfCommand::Opened(account).pack(Id(id)))
        })
        .await?;
    only_added(database, &mut tally).await?;
    Ok(Books {
        of_commands: writer.finish()?,
        tally,
        schema_ids,
        rows,
    })
}

async fn only_added(database: &Database, tally: &mut Tally) -> Result<(), CannotCheck> {
    for row in database.query(CHANGED_ROWS, &[]).await? {
        let (table, changed): (String, i64) = (row.get(0), row.get(1));
        tally.check(Name::A6, changed == 0, || {
            format!("{changed} rows of {table} were changed or removed")
        });
    }
    Ok(())
}

fn first_eight(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |eight| u64::from_be_bytes(*eight))
}

fn outcome(
    row: &Columns<'_>,
    cut: &Cut,
    schema_ids: &mut HashMap<(u32, u8), String>,
    tally: &mut Tally,
) -> Result<Decided, CannotCheck> {
    let id = row.uuid(0)?;
    let kind = match row.text(2)? {
        "opening" => OPENING,
        "account_creation" => CREATION,
        _ => TRANSFER,
    };
    let content: [u8; 16] = row.bytes(1)?.try_into().unwrap_or_default();
    let source = Place {
        topic: topic_number(row.text(5)?).unwrap_or(NOWHERE),
        partition: i32::try_from(row.number(6)?).unwrap_or_default(),
        offset: row.number(7)?,
    };
    let mut decided = Decided {
        source,
        kind,
        refusal: row.maybe_text(3)?.map_or(0, refusal),
        observed: row.maybe_number(4)?.unwrap_or(-1),
        content: u128::from_be_bytes(content),
        answer: 0,
        change_one: 0,
        change_two: 0,
        changes: 0,
        is_owed: cut.owed.contains(&id),
    };
    let mut whole = true;
    let is_read = frames(row.bytes(8)?, |topic, value| {
        match (topic, decided.changes) {
            (CHANGES, 0) => decided.change_one = digest(value),
            (CHANGES, 1) => decided.change_two = digest(value),
            (ACCOUNT_ANSWERS | TRANSFER_ANSWERS, _) if decided.answer == 0 => {
                decided.answer = digest(value);
            }
            _ => whole = false,
        }
        decided.changes += u8::from(topic == CHANGES);
        match split(Some(value)) {
            Ok((schema, _)) => {
                schema_ids
                    .entry((schema, topic))
                    .or_insert_with(|| format!("outcome {} frames", Id(id)));
            }
            Err(_) => whole = false,
        }
    });
    tally.check(Name::B2, is_read && whole, || {
        format!("outcome {}: its stored frames cannot be read", Id(id))
    });
    Ok(decided)
}

/// Topics of stored frames, by the number they have there.
const FRAME_TOPICS: [u8; 4] = [ACCOUNT_ANSWERS, TRANSFER_ANSWERS, CHANGES, 5];
/// The form the handler stores frames in.
const FRAMES_FORM: u8 = 1;
/// Behind each value: where a secret was blanked, and the number of headers, 0 here.
const FRAME_TAIL: usize = 3;

/// Cuts stored frames into topics and values; false when they are damaged.
fn frames(stored: &[u8], mut each: impl FnMut(u8, &[u8])) -> bool {
    let Some((form, mut rest)) = stored.split_first() else {
        return false;
    };
    if *form != FRAMES_FORM {
        return false;
    }
    let part = |bytes: &mut &[u8]| -> Option<usize> {
        let (length, tail) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        *bytes = tail;
        (length <= tail.len()).then_some(length)
    };
    let mut cut = |rest: &mut &[u8]| -> Option<()> {
        let (topic, tail) = rest.split_first()?;
        let topic = *FRAME_TOPICS.get(usize::from(*topic))?;
        *rest = tail;
        let key = part(rest)?;
        *rest = rest.get(key..)?;
        let value = part(rest)?;
        let (value, tail) = rest.split_at_checked(value)?;
        let (_, tail) = tail.split_at_checked(FRAME_TAIL)?;
        *rest = tail;
        each(topic, value);
        Some(())
    };
    while !rest.is_empty() {
        if cut(&mut rest).is_none() {
            return false;
        }
    }
    true
}

/// Has the schema ids of stored frames resolved; for threads outside the runtime.
pub(crate) fn resolve(
    schema_ids: HashMap<(u32, u8), String>,
    registry: &Registry,
    tally: &mut Tally,
) -> Result<(), CannotCheck> {
    for ((id, topic), place) in schema_ids {
        let meaning = registry.meaning(id)?;
        let fits = meaning.is_some_and(|it| belongs(topic, &it.schema.name));
        tally.check(Name::F10, fits, || format!("schema id {id} in {place}"));
        registry.uses(id, topic, || place.clone());
    }
    Ok(())
}

fn entry(row: &Columns<'_>, tally: &mut Tally) -> Result<(u128, Entered), CannotCheck> {
    let id = row.uuid(0)?;
    let name = row.text(1)?;
    let version = row.maybe_number(2)?;
    let entered = Entered {
        account: Party::of(name),
        version: version.unwrap_or_default(),
        delta: row.number(3)?,
        balance: row.maybe_number(4)?.unwrap_or_default(),
    };
    let is_opening = Id(id) == OPENING_ID;
    let amount = entered.delta.unsigned_abs();
    let is_amount_right = amount > 0 && (is_opening || amount <= AMOUNT_MAX.unsigned_abs());
    let is_balance_right = entered.balance.unsigned_abs() <= BALANCE_MAX;
    tally.check(Name::A5, is_amount_right && is_balance_right, || {
        format!(
            "ledger_entry {} {name}: {} cents, balance {}",
            Id(id),
            entered.delta,
            entered.balance
        )
    });
    // Own accounts have versions, and nobody else.
    let is_numbered = version.is_some() == is_ours_as_written(name);
    tally.check(Name::A3, is_numbered, || {
        format!("ledger_entry {} {name} has version {version:?}", Id(id))
    });
    Ok((id, entered))
}

/// The opening of the books, the same in every installation.
pub(crate) const OPENING_ID: Id = Id(0x0ba9_c0de_0000_4000_8000_0000_0000_0001);

/// What was read of the read model.
pub(crate) struct ReadModel {
    pub(crate) of_accounts: Written,
    pub(crate) tally: Tally,
    pub(crate) rows: u64,
}

/// Reads the gateway's read model.
pub(crate) async fn read_model(
    cut: &Cut,
    counters: &Counters,
    scratch: &Path,
) -> Result<ReadModel, CannotCheck> {
    let mut writer = Writer::new(scratch, "read-model");
    let mut tally = Tally::default();
    let database = &cut.gateway;
    let mut rows = database
        .each_row(ROWS, &counters.rows, |row| {
            let account = Party::of(row.text(0)?);
            let version = row.number(1)?;
            let fact = OfAccount::Row(Row {
                at: Place {
                    topic: CHANGES,
                    partition: i32::try_from(row.number(8)?).unwrap_or_default(),
                    offset: row.number(9)?,
                },
                balance: row.number(2)?,
                changed_by: row.number(3)?,
                other: Party::of(row.text(4)?),
                description: digest(row.text(5)?.as_bytes()),
                id: Id(row.maybe_uuid(6)?),
                occurred_at_us: row.number(7)?.saturating_add(EPOCH_US),
            });
            writer.put(account.0, &fact.pack(account, version))
        })
        .await?;
    rows += database
        .each_row(READ_ACCOUNTS, &counters.rows, |row| {
            let account = Party::of(row.text(0)?);
            let fact = OfAccount::ReadAccount(ReadAccount {
                balance: row.number(1)?,
                version: row.number(2)?,
            });
            writer.put(account.0, &fact.pack(account, OF_THE_WHOLE))
        })
        .await?;
    for row in database.query(USERS, &[]).await? {
        let user: String = row.get(0);
        tally.check(Name::A7, false, || {
            format!("customer {user} stands there more than once")
        });
    }
    Ok(ReadModel {
        of_accounts: writer.finish()?,
        tally,
        rows,
    })
}
