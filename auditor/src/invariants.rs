//! The list of invariants: what must be so, and by which question that is judged.
//!
//! `docs/invariants.md` is made of this table; a test compares them.

/// One invariant.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// What must be so.
    pub what: &'static str,
    /// How that is judged, in a line.
    pub query: &'static str,
}

/// The names, to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    A1,
    A2,
    A3,
    A4,
    A5,
    A6,
    A7,
    B1,
    B2,
    B3,
    B4,
    B5,
    B6,
    B7,
    B8,
    C1,
    C2,
    C3,
    C4,
    C5,
    C6,
    C7,
    D1,
    D2,
    D3,
    D4,
    D5,
    D6,
    D7,
    E1,
    E2,
    E3,
    E5,
    F1,
    F2,
    F3,
    F4,
    F7,
    F10,
}

const fn it(name: &'static str, what: &'static str, query: &'static str) -> Invariant {
    Invariant { name, what, query }
}

/// All of them, in the order they are reported in.
pub const INVARIANTS: [Invariant; 39] = [
    it(
        "A1",
        "each booking is two entries that sum to zero",
        "ledger_entry by command_id: count is 2 and sum(delta_cents) is 0",
    ),
    it(
        "A2",
        "the ledger sums to zero",
        "sum(delta_cents) over ledger_entry",
    ),
    it(
        "A3",
        "each account is the sum of its entries, versions 1..n",
        "ledger_entry by account in order of version: no hole, no repeat, balance_after folds, ends at account.balance_cents and account.version",
    ),
    it(
        "A4",
        "no entry took an account below its limit",
        "ledger_entry.balance_after_cents >= account.limit_cents, for every entry there ever was",
    ),
    it(
        "A5",
        "amounts and balances are within their bounds",
        "delta_cents is not 0 and at most the largest transfer (the opening excepted); abs(balance) <= 2^62",
    ),
    it(
        "A6",
        "outcomes and entries are only ever added",
        "pg_stat_user_tables of outcome and ledger_entry: n_tup_upd + n_tup_del = 0",
    ),
    it(
        "A7",
        "account numbers are valid and unique, one per creation",
        "account: mod 97, form NL..OPEN, unique; one account per confirmed creation, with the number its answer tells; customer: user_name unique",
    ),
    it(
        "B1",
        "every command has an outcome, every outcome a command",
        "ids in the command topics up to consumer_offset = ids in outcome (the opening excepted) = ids in the feedback topics",
    ),
    it(
        "B2",
        "all answers to a command are the same bytes",
        "feedback records by command id: one key (the id), one value, the one stored in outcome.frames",
    ),
    it(
        "B3",
        "confirmed is booked as asked, refused is not booked",
        "outcome with its command and its ledger entries: -amount on from, +amount on to, or no entries",
    ),
    it(
        "B4",
        "every refusal was true when it was made",
        "each reason recomputed from the command; funds from the balance at outcome.observed_version",
    ),
    it(
        "B5",
        "an id used for something else changes nothing and is a dead letter",
        "commands by id: content hash against outcome.request_hash; the others have a dead letter IDEMPOTENCY_CONFLICT",
    ),
    it(
        "B6",
        "what clients were told is what was done",
        "history: ok has a confirmed outcome with these fields, fail has no entries and the same reason",
    ),
    it(
        "B7",
        "what was answered before something was sent is booked before it",
        "history: answer before invoke on a shared account has the lower version there",
    ),
    it(
        "B8",
        "one partition's commands are decided in the order of the log",
        "ledger entries of an account by version: source_offset grows within each source partition",
    ),
    it(
        "C1",
        "changes told and entries booked are one to one",
        "balance_changed by (iban, version) against ledger_entry by (account, version)",
    ),
    it(
        "C2",
        "copies of a change are the same bytes",
        "balance_changed by (iban, version): one value, the one stored in outcome.frames",
    ),
    it(
        "C3",
        "changes of an account fold to its balance",
        "balance_changed by iban in order of version: 1..n, new_balance = before + changed_by, ends at account.balance_cents",
    ),
    it(
        "C4",
        "first copies stand in the order of their versions",
        "balance_changed by iban: offset of the first copy of each version grows (counted only, unless asked to be strict)",
    ),
    it(
        "C5",
        "a change is told exactly when its command is confirmed",
        "balance_changed by command_id against outcome.rejection",
    ),
    it(
        "C6",
        "a transfer between own accounts is two crossed changes, any other one",
        "balance_changed by command_id: count, signs, from_to",
    ),
    it(
        "C7",
        "keys and partitions are those of the contract",
        "balance_changed: key = iban; outcomes: key = command id; partition = murmur2(key) mod partitions",
    ),
    it(
        "D1",
        "the read model has exactly the changes that were told",
        "account_transaction against balance_changed up to projection_offset, field by field",
    ),
    it(
        "D2",
        "the read model's balances are those of the last change",
        "account of the read model: version and balance of the change with the highest version",
    ),
    it(
        "D3",
        "offsets never go back and never beyond the log",
        "consumer_offset and projection_offset, twice: second >= first; committed in Kafka <= database <= end of log",
    ),
    it(
        "D4",
        "both databases know the same balances",
        "account of the handler against account of the read model: version, balance, and no account in one only",
    ),
    it(
        "D5",
        "a follower sees each change once, in order",
        "history: versions of each subscription are after+1, after+2 ..., over reconnects",
    ),
    it(
        "D6",
        "what one client reads never goes back",
        "history: versions read of an account at one gateway do not fall",
    ),
    it(
        "D7",
        "nobody sees what he must not",
        "history: subscriptions that are not permitted receive nothing",
    ),
    it(
        "E1",
        "the read model is what a rebuild from the topics gives",
        "hash of all rows of account_transaction against the hash of the fold of balance_changed",
    ),
    it(
        "E2",
        "answers and changes alone give the same accounts",
        "accounts from account_creation_feedback and balance_changed against account of the handler",
    ),
    it(
        "E3",
        "the model of the rules gives the same bytes",
        "commands in the order of the account versions through the reference model: answers and changes byte by byte",
    ),
    it(
        "E5",
        "a command sent again is answered again, and does nothing",
        "commands that stand more than once: one outcome, one booking, at least as many answers as records",
    ),
    it(
        "F1",
        "no record is dropped",
        "each record of a command, feedback or change topic up to the stored offset is understood or a dead letter; offsets have no hole",
    ),
    it(
        "F2",
        "Kafka is told of nothing before the database has it",
        "committed offset of each group <= offset in its database",
    ),
    it(
        "F3",
        "what is owed to the topics is paid",
        "rows of emission_debt that stood when the audit began are gone within the wait",
    ),
    it(
        "F4",
        "a dead letter is the record as it was, with where it stood",
        "dead_letters against the record at source_topic, source_partition, source_offset: key, value, one reason",
    ),
    it(
        "F7",
        "the bank keeps up",
        "offsets in both databases reach the ends of the log, as they were when the audit began, within the wait",
    ),
    it(
        "F10",
        "a schema id means the same for ever",
        "each id in the topics and in outcome.frames resolves, to a record of that topic, with the fingerprint remembered from earlier audits",
    ),
];

/// In front of the list in `docs/invariants.md`.
const PREFACE: &str = "\
# Invariants

What must be so in the Bank at any moment, and by which question the auditor judges it.
This page is written by `target/release/auditor --list`; a test compares it with the code.

`cargo bank audit` judges the bank that runs; `--json` is for programs, `--follow` goes on and serves `/status` and `/metrics`, as the auditor does that `cargo bank up` starts.
It ends with 0 when everything holds, 1 when something is violated, 2 when something could not be checked, which is never shown as holding.

Nothing is stopped for an audit.
The handler's offsets move in the transaction that does what the records before them ask for, so a snapshot of its books names the exact end of the commands it has dealt with; what it has sent is bounded by the ends of the topics before and after the snapshot, and by the debts noted in it.
The same holds of the read model.
The identity of a change is (IBAN, version).

One that follows looks every ten seconds how far everything is: the ends of the topics, the offsets, debts and counted changes of rows in both databases.
When nothing has happened since an audit that held, that still holds; else everything is audited again, from the first record on, as often as one twentieth of a core allows.
What a look cannot see (a file changed behind the back of PostgreSQL) is seen by an audit every ten minutes, or by one per cent of a core.

An audit sorts on disk, about one KiB for each command: its memory does not grow with the bank.
Of 2,500,000 transfers (10,004,001 records, 12,506,006 rows) it took 42 s of processor time and 156 MiB at most (147 MiB of them its own), on two cores on which builds ran at the same time; a million transfers take 22 s on an idle machine.

The auditor shares no reading of records, IBANs or money with the services: its Avro reader, its IBAN check, its hash of keys and its SQL are its own, and the rules are judged again by `reference-model/`.
`auditor/tests/corruptions/` makes one thing wrong in a copy of a healthy bank, again and again, and each is found by the invariant it belongs to.

| name | what must be so | how it is judged |
|---|---|---|
";

/// What these questions cannot see; behind the list.
const LIMITS: &str = "
## What is not judged

- C4 is counted, and a violation only with `--strict-order`: where several handlers live, or a debt was taken over, first copies may stand out of order. Readers order by (IBAN, version).
- `balance limit exceeded` and `to is not known at this bank` depend on the payee at a moment that no record tells; B4 checks only that they are possible. E3 decides them again.
- E3 keeps every command in memory, so runs of more than 100,000 commands (`--replay-max`) are not decided again; the report says so.
- B6, B7, D5, D6 and D7 are judged by what clients recorded (`--history-file`), and not asked without it.
- A6 counts changed rows since PostgreSQL last began its statistics: after a crash of the server it begins again.
- A token is kept by nobody in plain text: that an answer tells the right one is judged by its digest, except the company's, which may be replaced.
- Offsets that went back between two audits are seen only within one (the second look at its end).
";

/// `docs/invariants.md`.
#[must_use]
pub fn document() -> String {
    let lines = INVARIANTS
        .iter()
        .map(|it| format!("| {} | {} | {} |\n", it.name, it.what, it.query));
    format!("{PREFACE}{}{LIMITS}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_names_to_count_by_when_compared_then_they_are_in_the_order_of_the_list() {
        assert_eq!(
            format!("{:?}", Name::A1),
            INVARIANTS[Name::A1 as usize].name
        );
        for name in [Name::A7, Name::B8, Name::C7, Name::D7, Name::E5, Name::F10] {
            assert_eq!(format!("{name:?}"), INVARIANTS[name as usize].name);
        }
        assert_eq!(Name::F10 as usize + 1, INVARIANTS.len());
    }

    #[test]
    fn given_the_page_about_invariants_when_compared_then_it_is_this_list() {
        let page = include_str!("../../docs/invariants.md");
        assert!(
            page == document(),
            "write it again: auditor --list > docs/invariants.md"
        );
    }
}
