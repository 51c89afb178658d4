//! Facts: what one record or row says, in few bytes of a fixed number, so that millions
//! can be sorted on disk. Texts are kept as digests; account numbers of ours fit whole.

use std::fmt;

/// Bytes of a packed fact, its key included.
pub(crate) const FACT_BYTES: usize = 128;
/// A packed fact. The order of the bytes is the order facts are sorted in.
pub(crate) type Packed = [u8; FACT_BYTES];

/// Packs columns one behind another.
pub(crate) struct Packer {
    bytes: Packed,
    length: usize,
}

impl Packer {
    pub(crate) fn new() -> Packer {
        Packer {
            bytes: [0; FACT_BYTES],
            length: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    pub(crate) fn with(mut self, column: impl Column) -> Packer {
        column.pack(&mut self);
        self
    }

    pub(crate) fn done(self) -> Packed {
        self.bytes
    }
}

/// Unpacks them again.
pub(crate) struct Unpacker<'a>(pub(crate) &'a [u8]);

impl Unpacker<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self
            .0
            .split_first_chunk()
            .expect("a fact has the columns it was packed with");
        self.0 = tail;
        *head
    }

    pub(crate) fn column<C: Column>(&mut self) -> C {
        C::unpack(self)
    }
}

/// Something of a fixed size whose bytes sort as it does.
pub(crate) trait Column {
    fn pack(&self, to: &mut Packer);
    fn unpack(from: &mut Unpacker<'_>) -> Self;
}

macro_rules! unsigned {
    ($($number:ty),*) => {$(
        impl Column for $number {
            fn pack(&self, to: &mut Packer) {
                to.put(&self.to_be_bytes());
            }
            fn unpack(from: &mut Unpacker<'_>) -> $number {
                <$number>::from_be_bytes(from.take())
            }
        }
    )*};
}
unsigned!(u8, u64, u128);

impl Column for i64 {
    fn pack(&self, to: &mut Packer) {
        // With the sign's bit turned, negative numbers sort in front.
        to.put(&(self.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    }
    fn unpack(from: &mut Unpacker<'_>) -> i64 {
        (u64::from_be_bytes(from.take()) ^ (1 << 63)).cast_signed()
    }
}

impl Column for bool {
    fn pack(&self, to: &mut Packer) {
        to.put(&[u8::from(*self)]);
    }
    fn unpack(from: &mut Unpacker<'_>) -> bool {
        from.take::<1>() != [0]
    }
}

/// Declares a fact and how it is packed.
macro_rules! fact {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
        impl Column for $name {
            fn pack(&self, to: &mut Packer) { $(self.$field.pack(to);)* }
            fn unpack(from: &mut Unpacker<'_>) -> $name {
                $name { $($field: Column::unpack(from)),* }
            }
        }
    };
}

/// The topics that are read, by the number they have in facts.
pub(crate) const TOPICS: [&str; 6] = [
    "confirm_account_creation",
    "confirm_money_transfer",
    "account_creation_feedback",
    "money_transfer_feedback",
    "balance_changed",
    "dead_letters",
];
pub(crate) const ACCOUNT_COMMANDS: u8 = 0;
pub(crate) const TRANSFER_COMMANDS: u8 = 1;
pub(crate) const ACCOUNT_ANSWERS: u8 = 2;
pub(crate) const TRANSFER_ANSWERS: u8 = 3;
pub(crate) const CHANGES: u8 = 4;
pub(crate) const DEAD_LETTERS: u8 = 5;
/// Instead of a topic: nowhere.
pub(crate) const NOWHERE: u8 = u8::MAX;

/// The number of a topic without prefix.
pub(crate) fn topic_number(name: &str) -> Option<u8> {
    let found = TOPICS.iter().position(|it| *it == name)?;
    u8::try_from(found).ok()
}

/// Place of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) topic: u8,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Place {
    pub(crate) const NOWHERE: Place = Place {
        topic: NOWHERE,
        partition: 0,
        offset: 0,
    };
}

impl Place {
    /// The topic's name without prefix.
    pub(crate) fn name(self) -> &'static str {
        TOPICS
            .get(usize::from(self.topic))
            .copied()
            .unwrap_or("nowhere")
    }
}

impl Column for Place {
    fn pack(&self, to: &mut Packer) {
        self.topic.pack(to);
        to.put(&self.partition.to_be_bytes());
        self.offset.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Place {
        Place {
            topic: from.column(),
            partition: i32::from_be_bytes(from.take()),
            offset: from.column(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TOPICS.get(usize::from(self.topic)) {
            Some(name) => write!(f, "{name}[{}] offset {}", self.partition, self.offset),
            None => f.write_str("nowhere"),
        }
    }
}

/// Somebody who pays or is paid: an account number of ours as a number, anybody else as a
/// digest with the highest bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Party(pub(crate) u64);

const ELSEWHERE: u64 = 1 << 63;
const ACCOUNTS: u64 = 10_000_000_000;

impl Party {
    pub(crate) const COMPANY: Party = Party(66 * ACCOUNTS);

    pub(crate) fn of(name: &str) -> Party {
        Party::ours(name).unwrap_or_else(|| Party(ELSEWHERE | digest(name.as_bytes()) >> 1))
    }

    fn ours(name: &str) -> Option<Party> {
        let rest = name.strip_prefix("NL")?;
        let (check, rest) = rest.split_at_checked(2)?;
        let number = rest.strip_prefix("OPEN")?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (number.len() == 10 && digits(check) && digits(number)).then_some(())?;
        let (check, number): (u64, u64) = (check.parse().ok()?, number.parse().ok()?);
        Some(Party(check * ACCOUNTS + number))
    }

    pub(crate) fn is_written_like_ours(self) -> bool {
        self.0 & ELSEWHERE == 0
    }
}

impl Column for Party {
    fn pack(&self, to: &mut Packer) {
        self.0.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Party {
        Party(from.column())
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_written_like_ours() {
            write!(f, "NL{:02}OPEN{:010}", self.0 / ACCOUNTS, self.0 % ACCOUNTS)
        } else if *self == Party::of("cash") {
            f.write_str("cash")
        } else {
            write!(f, "somebody elsewhere ({:016x})", self.0)
        }
    }
}

/// A command's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) u128);

impl Column for Id {
    fn pack(&self, to: &mut Packer) {
        self.0.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Id {
        Id(from.column())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.0).fmt(f)
    }
}

/// Eight bytes that stand for many.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    let (head, _) = hash
        .as_bytes()
        .split_first_chunk()
        .expect("32 bytes hold 8");
    u64::from_be_bytes(*head)
}

/// Why a record is a dead letter.
pub(crate) mod dead {
    /// It is none.
    pub(crate) const NOT: u8 = 0;
    /// Its id was used before for something else.
    pub(crate) const CONFLICT: u8 = 1;
    /// It says something else than what is stored.
    pub(crate) const CORRUPTION: u8 = 2;
    /// Any other reason.
    pub(crate) const OTHER: u8 = 3;
}

/// A fact about a command id; these sort by id, then by what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OfCommand {
    Asked(Asked),
    Decided(Decided),
    Entered(Entered),
    Opened(AccountRow),
    Answered(Answered),
    Changed(Changed),
    Told(Told),
}

fact! {
    /// A command in its topic.
    Asked {
        at: Place,
        content: u128,
        amount: i64,
        from: Party,
        to: Party,
        token: u64,
        description: u64,
        timestamp_ms: i64,
        refusal: u64,
        is_payer_cash: bool,
        dead: u8,
    }
}

fact! {
    /// A row of `outcome`.
    Decided {
        source: Place,
        kind: u8,
        refusal: u64,
        observed: i64,
        content: u128,
        answer: u64,
        change_one: u64,
        change_two: u64,
        changes: u8,
        is_owed: bool,
    }
}

/// Kinds of outcomes.
pub(crate) const OPENING: u8 = 0;
pub(crate) const CREATION: u8 = 1;
pub(crate) const TRANSFER: u8 = 2;

fact! {
    /// A row of `ledger_entry`; version 0 for parties that are no accounts of ours.
    Entered {
        account: Party,
        version: i64,
        delta: i64,
        balance: i64,
    }
}

fact! {
    /// A row of the handler's `account`.
    AccountRow {
        account: Party,
        balance: i64,
        limit: i64,
        version: i64,
        token: u64,
    }
}

fact! {
    /// A record of a feedback topic.
    Answered {
        at: Place,
        value: u64,
        refusal: u64,
        account: Party,
        is_key_right: bool,
        is_late: bool,
        token: u64,
    }
}

fact! {
    /// A record of `balance_changed`.
    Changed {
        at: Place,
        account: Party,
        version: i64,
        changed_by: i64,
        balance: i64,
        other: Party,
        description: u64,
        occurred_at_us: i64,
        value: u64,
        is_key_right: bool,
        is_late: bool,
        is_projected: bool,
        dead: u8,
    }
}

fact! {
    /// What a client was told, or was not.
    Told {
        answered_ns: u64,
        invoked_ns: u64,
        phase: u8,
        from: Party,
        to: Party,
        amount: i64,
        refusal: u64,
        is_transfer: bool,
    }
}

/// Phases of a client's operation, in facts.
pub(crate) const SAID_YES: u8 = 1;
pub(crate) const SAID_NO: u8 = 2;
pub(crate) const SAID_NOTHING: u8 = 3;

impl OfCommand {
    pub(crate) fn pack(&self, id: Id) -> Packed {
        let key = |kind: u8| Packer::new().with(id).with(kind);
        match self {
            OfCommand::Asked(it) => key(0).with(*it),
            OfCommand::Decided(it) => key(1).with(*it),
            OfCommand::Entered(it) => key(2).with(*it),
            OfCommand::Opened(it) => key(3).with(*it),
            OfCommand::Answered(it) => key(4).with(*it),
            OfCommand::Changed(it) => key(5).with(*it),
            OfCommand::Told(it) => key(6).with(*it),
        }
        .done()
    }

    pub(crate) fn unpack(bytes: &Packed) -> (Id, OfCommand) {
        let mut from = Unpacker(bytes);
        let id = from.column();
        let fact = match from.column::<u8>() {
            0 => OfCommand::Asked(from.column()),
            1 => OfCommand::Decided(from.column()),
            2 => OfCommand::Entered(from.column()),
            3 => OfCommand::Opened(from.column()),
            4 => OfCommand::Answered(from.column()),
            5 => OfCommand::Changed(from.column()),
            _ => OfCommand::Told(from.column()),
        };
        (id, fact)
    }
}

/// A fact about an account; these sort by account, then by version, then by what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OfAccount {
    Account(Account),
    ReadAccount(ReadAccount),
    Announced(Announced),
    Followed(Followed),
    Entry(Entry),
    Change(Change),
    Row(Row),
    Spent(Spent),
}

fact! {
    /// The handler's account, with what its creation says.
    Account {
        balance: i64,
        limit: i64,
        version: i64,
        token: u64,
        id: Id,
        is_owed: bool,
        is_opening: bool,
    }
}

fact! {
    /// The read model's account.
    ReadAccount {
        balance: i64,
        version: i64,
    }
}

fact! {
    /// The answer that an account was opened.
    Announced {
        at: Place,
        id: Id,
        is_late: bool,
    }
}

fact! {
    /// A follower has seen everything up to this version.
    Followed {
        subscription: u64,
        version: i64,
    }
}

fact! {
    /// An entry, with where its command stood.
    Entry {
        source: Place,
        delta: i64,
        balance: i64,
        id: Id,
        invoked_ns: u64,
        answered_ns: u64,
        is_owed: bool,
    }
}

fact! {
    /// A change that was told.
    Change {
        at: Place,
        changed_by: i64,
        balance: i64,
        other: Party,
        description: u64,
        id: Id,
        occurred_at_us: i64,
        value: u64,
        is_late: bool,
        is_projected: bool,
        dead: u8,
    }
}

fact! {
    /// A row of `account_transaction`.
    Row {
        at: Place,
        changed_by: i64,
        balance: i64,
        other: Party,
        description: u64,
        id: Id,
        occurred_at_us: i64,
    }
}

fact! {
    /// A payer's money was looked at for a decision.
    Spent {
        source: Place,
        amount: i64,
        refusal: u64,
        token: u64,
        id: Id,
        observed: i64,
    }
}

impl OfAccount {
    pub(crate) fn pack(&self, account: Party, version: i64) -> Packed {
        let key = |kind: u8| Packer::new().with(account).with(version).with(kind);
        match self {
            OfAccount::Account(it) => key(0).with(*it),
            OfAccount::ReadAccount(it) => key(1).with(*it),
            OfAccount::Announced(it) => key(2).with(*it),
            OfAccount::Followed(it) => key(3).with(*it),
            OfAccount::Entry(it) => key(4).with(*it),
            OfAccount::Change(it) => key(5).with(*it),
            OfAccount::Row(it) => key(6).with(*it),
            OfAccount::Spent(it) => key(7).with(*it),
        }
        .done()
    }

    pub(crate) fn unpack(bytes: &Packed) -> (Party, i64, OfAccount) {
        let mut from = Unpacker(bytes);
        let (account, version) = (from.column(), from.column());
        let fact = match from.column::<u8>() {
            0 => OfAccount::Account(from.column()),
            1 => OfAccount::ReadAccount(from.column()),
            2 => OfAccount::Announced(from.column()),
            3 => OfAccount::Followed(from.column()),
            4 => OfAccount::Entry(from.column()),
            5 => OfAccount::Change(from.column()),
            6 => OfAccount::Row(from.column()),
            _ => OfAccount::Spent(from.column()),
        };
        (account, version, fact)
    }
}

/// In front of all versions: what is known of an account as a whole.
pub(crate) const OF_THE_WHOLE: i64 = i64::MIN;

fact! {
    /// A dead letter, or the record it was made of: sorted by where that stood.
    Letter {
        source: Place,
        is_letter: bool,
        at: Place,
        key: u64,
        value: u64,
        reason: u64,
        must_be_dead: bool,
    }
}

impl Letter {
    pub(crate) fn packed(&self) -> Packed {
        Packer::new().with(*self).done()
    }

    pub(crate) fn unpacked(bytes: &Packed) -> Letter {
        Unpacker(bytes).column()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_our_numbers_when_packed_then_they_can_be_read_again() {
        for iban in [
            "NL66OPEN0000000000",
            "NL01OPEN0412883157",
            "NL99OPEN9999999999",
        ] {
            assert!(Party::of(iban).is_written_like_ours());
            assert_eq!(Party::of(iban).to_string(), iban);
        }
        assert_eq!(Party::of("NL66OPEN0000000000"), Party::COMPANY);
        assert!(!Party::of("cash").is_written_like_ours());
        assert_eq!(Party::of("cash").to_string(), "cash");
    }

    #[test]
    fn given_facts_of_an_account_when_sorted_then_versions_are_in_order_and_the_whole_in_front() {
        let entry = |version: i64| {
            OfAccount::ReadAccount(ReadAccount {
                balance: -1,
                version,
            })
            .pack(Party(7), version)
        };
        let mut packed = [
            entry(2),
            entry(OF_THE_WHOLE),
            entry(1),
            entry(-1),
            entry(300),
        ];
        packed.sort_unstable();
        let versions = packed.map(|it| OfAccount::unpack(&it).1);
        assert_eq!(versions, [OF_THE_WHOLE, -1, 1, 2, 300]);
    }
}
