//! Wrong things in the read model, and in what is told to Kafka and remembered.

use crate::case::Case;

/// The last change of the account with most of them but the company's.
macro_rules! last {
    () => {
        "(iban, version) = (select iban, max(version) from account_transaction \
          where iban <> 'NL66OPEN0000000000' group by iban order by 2 desc, 1 limit 1)"
    };
}

pub(crate) fn cases() -> Vec<Case> {
    let it = Case::in_read_model;
    vec![
        it(
            "D1",
            "a row is gone",
            concat!("delete from account_transaction where ", last!()),
        ),
        it(
            "D1",
            "a row says something else",
            concat!(
                "update account_transaction set description = 'else' where ",
                last!()
            ),
        ),
        it(
            "D1",
            "a row names another command",
            concat!(
                "update account_transaction set command_id = null where ",
                last!()
            ),
        ),
        it(
            "D1",
            "a row that was never told",
            concat!(
                "insert into account_transaction select iban, version + 1, new_balance_cents, \
                 changed_by_cents, from_to, description, command_id, occurred_at, \
                 source_partition, source_offset + 1 from account_transaction where ",
                last!()
            ),
        ),
        it(
            "D1",
            "a row names another place in the log",
            concat!(
                "update account_transaction set source_offset = 100000 where ",
                last!()
            ),
        ),
        it(
            "D2",
            "a balance is one cent too high",
            "update account set balance_cents = balance_cents + 1 where version > 3",
        ),
        it(
            "D2",
            "an account is one version behind its rows",
            "update account set version = version - 1 where version > 3",
        ),
        it(
            "D4",
            "an account is missing",
            "delete from account where version = 0",
        ),
        it(
            "D4",
            "an account that the bank does not have",
            "insert into account values ('NL21OPEN0412883157', 0, 0, now())",
        ),
        it(
            "E1",
            "a time is one microsecond off",
            concat!(
                "update account_transaction set occurred_at = occurred_at + interval '1 microsecond' \
                 where ",
                last!()
            ),
        ),
        it(
            "D3",
            "an offset beyond the end of the log",
            "update projection_offset set next_offset = next_offset + 1000 \
             where topic = 'balance_changed' and partition = 0",
        ),
        it(
            "F7",
            "changes that nobody projects",
            "update projection_offset set next_offset = next_offset - 1 \
             where topic = 'account_creation_feedback'",
        ),
        it(
            "A7",
            "one user name twice",
            "alter table customer drop constraint customer_pkey cascade; \
             insert into customer (user_name, password_hash, role) \
             values ('twice', '', 'EMPLOYEE'), ('twice', '', 'EMPLOYEE')",
        ),
        Case::committed(
            "F2",
            "Kafka was told of commands that the books do not have",
            "command-handler",
            "confirm_account_creation",
        ),
        Case::committed(
            "F2",
            "Kafka was told of events that the read model does not have",
            "graphql-endpoint",
            "account_creation_feedback",
        ),
        Case::in_schema_memory("F10", "a schema id meant something else before"),
    ]
}
