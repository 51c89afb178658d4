//! Facts: what one record or row says, in few bytes of a fixed number, so that millions
//! can be sorted on disk. Texts are kept as digests; account numbers of ours fit whole.

mod of_account;
mod of_command;
mod of_letter;
mod packing;

use std::fmt;

pub(crate) use of_account::*;
pub(crate) use of_command::*;
pub(crate) use of_letter::*;
pub(crate) use packing::{Column, FACT_BYTES, Packed, Packer, Unpacker};

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
