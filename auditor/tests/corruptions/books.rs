//! Wrong things in the handler's books.

use crate::case::Case;

/// A confirmed transfer between two own accounts.
macro_rules! internal {
    () => {
        "(select command_id from ledger_entry where version is not null \
          group by command_id having count(*) = 2 order by command_id limit 1)"
    };
}
/// A confirmed transfer from `cash` that is not the opening.
macro_rules! deposit {
    () => {
        "(select command_id from ledger_entry join outcome using (command_id) \
          where account = 'cash' and kind = 'money_transfer' order by command_id limit 1)"
    };
}
/// The account with most entries but the company's.
macro_rules! busiest {
    () => {
        "(select account from ledger_entry where version is not null \
          and account <> 'NL66OPEN0000000000' \
          group by account order by count(*) desc, account limit 1)"
    };
}

pub(crate) fn cases() -> Vec<Case> {
    let it = Case::in_books;
    vec![
        it(
            "A1",
            "one cent more on one side of a deposit",
            concat!(
                "update ledger_entry set delta_cents = delta_cents - 1 \
                 where account = 'cash' and command_id = ",
                deposit!()
            ),
        ),
        it(
            "A1",
            "one of two entries is gone",
            concat!(
                "delete from ledger_entry where account = 'cash' and command_id = ",
                deposit!()
            ),
        ),
        it(
            "A1",
            "three entries for one command",
            concat!(
                "insert into ledger_entry values (",
                deposit!(),
                ", 'Somebody', null, 5, null)"
            ),
        ),
        it(
            "A2",
            "the opening gave more than it took",
            "update ledger_entry set delta_cents = delta_cents + 1 \
             where account = 'cash' and delta_cents < -1000000000",
        ),
        it(
            "A3",
            "one cent moved from one account to another",
            concat!(
                "update account set balance_cents = balance_cents - 1 where iban = ",
                busiest!(),
                "; update account set balance_cents = balance_cents + 1 \
                 where iban = 'NL66OPEN0000000000'"
            ),
        ),
        it(
            "A3",
            "two versions of an account are swapped",
            concat!(
                "drop index ledger_entry_version; update ledger_entry set version = 5 - version \
                 where version in (2, 3) and account = ",
                busiest!()
            ),
        ),
        it(
            "A3",
            "a hole in the versions of an account",
            concat!(
                "drop index ledger_entry_version; update ledger_entry set version = version + 1 \
                 where version > 3 and account = ",
                busiest!(),
                "; update account set version = version + 1 where iban = ",
                busiest!()
            ),
        ),
        it(
            "A3",
            "an account's version is one too high",
            concat!(
                "update account set version = version + 1 where iban = ",
                busiest!()
            ),
        ),
        it(
            "A4",
            "an account was below its limit once",
            "alter table account drop constraint account_within_limit; \
             update account set limit_cents = 0 where iban in \
             (select account from ledger_entry where balance_after_cents < 0)",
        ),
        it(
            "A5",
            "a transfer of more than one transfer may move",
            concat!(
                "update ledger_entry set delta_cents = delta_cents * 100000000 \
                 where command_id = ",
                internal!()
            ),
        ),
        it(
            "A6",
            "a row of the outcomes was written again, with the same content",
            "update outcome set kind = kind where kind = 'opening'",
        ),
        it(
            "A6",
            "an entry was removed and put back",
            concat!(
                "create table kept as select * from ledger_entry where command_id = ",
                deposit!(),
                "; delete from ledger_entry where command_id in (select command_id from kept); \
                 insert into ledger_entry select * from kept"
            ),
        ),
        it(
            "A7",
            "an account number with wrong check digits",
            "update account set iban = 'NL00OPEN' || substr(iban, 9) \
             where iban = (select max(iban) from account where version = 0)",
        ),
        it(
            "A7",
            "two accounts for one creation",
            "alter table account drop constraint account_command_id_key; \
             insert into account select 'NL21OPEN0412883157', command_id, token_digest, 0, \
             limit_cents, 0 from account where version = 0 limit 1",
        ),
        it(
            "A7",
            "one account number twice",
            "alter table account drop constraint account_pkey; \
             alter table account drop constraint account_command_id_key; \
             insert into account select * from account where version = 0 limit 1",
        ),
        it(
            "B1",
            "an outcome is gone",
            "delete from outcome where rejection = 'amount is invalid'",
        ),
        it(
            "B1",
            "an outcome of no command",
            "insert into outcome select '00000000-0000-4000-8000-000000000001', request_hash, \
             kind, rejection, observed_version, source_topic, source_partition, source_offset, \
             frames from outcome where rejection = 'amount is invalid'",
        ),
        it(
            "B3",
            "confirmed, and not booked",
            concat!("delete from ledger_entry where command_id = ", deposit!()),
        ),
        it(
            "B3",
            "booked with another amount than asked",
            concat!(
                "update ledger_entry set delta_cents = delta_cents + sign(delta_cents) \
                 where command_id = ",
                internal!()
            ),
        ),
        it(
            "B3",
            "booked the wrong way round",
            concat!(
                "update ledger_entry set delta_cents = -delta_cents where command_id = ",
                internal!()
            ),
        ),
        it(
            "B3",
            "refused, and booked all the same",
            concat!(
                "update outcome set rejection = 'insufficient funds' where command_id = ",
                internal!()
            ),
        ),
        it(
            "B4",
            "refused for want of money that was there",
            "update outcome set observed_version = 0 where rejection = 'insufficient funds'",
        ),
        it(
            "B4",
            "refused for a token that was right",
            "update outcome set rejection = 'invalid token' where rejection = 'insufficient funds'",
        ),
        it(
            "B4",
            "refused for a form that was right",
            "update outcome set rejection = 'amount is invalid' \
             where rejection = 'description is invalid'",
        ),
        it(
            "B5",
            "the books remember another command under this id",
            concat!(
                "update outcome set request_hash = set_byte(request_hash, 3, \
                 255 - get_byte(request_hash, 3)) where command_id = ",
                internal!()
            ),
        ),
        it(
            "B8",
            "two commands of a partition were decided in the wrong order",
            "with two as (select command_id, source_partition, source_offset from outcome \
                 where command_id in (select command_id from ledger_entry \
                     where account = 'NL66OPEN0000000000') \
                 and kind = 'money_transfer' order by source_offset limit 2), \
             swapped as (select one.command_id, other.source_partition, other.source_offset \
                 from two as one join two as other on one.command_id <> other.command_id) \
             update outcome set source_partition = swapped.source_partition, \
                 source_offset = swapped.source_offset \
             from swapped where outcome.command_id = swapped.command_id",
        ),
        it(
            "B2",
            "one byte of a stored answer is another",
            "update outcome set frames = set_byte(frames, octet_length(frames) - 5, \
             255 - get_byte(frames, octet_length(frames) - 5)) \
             where rejection = 'insufficient funds'",
        ),
        it(
            "E3",
            "the model says no where the bank said yes",
            concat!(
                "update outcome set rejection = 'insufficient funds' where command_id = ",
                internal!()
            ),
        ),
        it(
            "F3",
            "a debt that nobody pays",
            "insert into emission_debt (owner, command_ids) values (1, '{}')",
        ),
        it(
            "D3",
            "an offset beyond the end of the log",
            "update consumer_offset set next_offset = next_offset + 1000 \
             where topic = 'confirm_account_creation'",
        ),
        it(
            "F7",
            "commands that nobody deals with",
            "update consumer_offset set next_offset = next_offset - 1 \
             where topic = 'confirm_account_creation'",
        ),
    ]
}
