//! The records the lab writes and reads, with an Avro of its own: what judges the services is not their code.

use std::collections::HashMap;

use serde::Deserialize;
use uuid::Uuid;

use crate::error::LabError;

/// The topics the lab reads or writes.
pub mod topics {
    /// Commands to open an account.
    pub const CREATIONS: &str = "confirm_account_creation";
    /// Commands to move money.
    pub const TRANSFERS: &str = "confirm_money_transfer";
    /// Outcomes of the first.
    pub const OPENED: &str = "account_creation_feedback";
    /// Outcomes of the second.
    pub const MOVED: &str = "money_transfer_feedback";
    /// Changes of balances.
    pub const CHANGES: &str = "balance_changed";
    /// What could not be understood.
    pub const DEAD_LETTERS: &str = "dead_letters";
    /// All of them.
    pub const ALL: [&str; 6] = [CREATIONS, TRANSFERS, OPENED, MOVED, CHANGES, DEAD_LETTERS];
}

/// The magic byte and the schema's id.
const HEADER_BYTES: usize = 5;

/// A kind of record, in the version its schema has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Creation,
    Transfer,
    Opened,
    NotOpened,
    Moved,
    NotMoved,
    ChangeOf2019,
    Change,
}

/// Subjects with their kinds; a later version of a subject is the later kind.
const SUBJECTS: [(&str, &str, &[Kind]); 7] = [
    (
        topics::CREATIONS,
        "ConfirmAccountCreation",
        &[Kind::Creation],
    ),
    (topics::TRANSFERS, "ConfirmMoneyTransfer", &[Kind::Transfer]),
    (topics::OPENED, "AccountCreationConfirmed", &[Kind::Opened]),
    (topics::OPENED, "AccountCreationFailed", &[Kind::NotOpened]),
    (topics::MOVED, "MoneyTransferConfirmed", &[Kind::Moved]),
    (topics::MOVED, "MoneyTransferFailed", &[Kind::NotMoved]),
    (
        topics::CHANGES,
        "BalanceChanged",
        &[Kind::ChangeOf2019, Kind::Change],
    ),
];

/// The ids of the schemas.
#[derive(Clone, Debug)]
pub struct Schemas {
    kinds: HashMap<[u8; HEADER_BYTES], Kind>,
    headers: HashMap<Kind, [u8; HEADER_BYTES]>,
}

/// A command to move money.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// The command.
    pub id: [u8; 16],
    /// Of the payer.
    pub token: &'a str,
    /// Cents.
    pub amount: i64,
    /// Payer.
    pub from: &'a str,
    /// Payee.
    pub to: &'a str,
    /// What for.
    pub description: &'a str,
}

/// A record, as far as the lab looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A command.
    Command {
        /// Its id.
        id: [u8; 16],
    },
    /// What came of a command.
    Outcome {
        /// The command.
        id: [u8; 16],
        /// Yes or no.
        is_confirmed: bool,
        /// Number and token of the account it opened.
        opened: Option<(String, String)>,
    },
    /// A change of a balance.
    Change {
        /// The account.
        iban: String,
        /// After it.
        new_balance: i64,
        /// Signed.
        changed_by: i64,
        /// None in the form of 2019.
        version: Option<i64>,
        /// The command: in the form of 2019 the lab finds it in the description it wrote.
        command: Option<[u8; 16]>,
    },
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

impl Schemas {
    /// Asks the registry, once.
    ///
    /// # Errors
    /// When it does not know one of our subjects.
    pub async fn fetch(registry_url: &str, prefix: &str) -> Result<Schemas, LabError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(LabError::http("the registry"))?;
        let mut schemas = Schemas {
            kinds: HashMap::new(),
            headers: HashMap::new(),
        };
        for (topic, name, kinds) in SUBJECTS {
            for (version, kind) in (1_u32..).zip(kinds) {
                let url = format!(
                    "{registry_url}/subjects/{prefix}{topic}-nl.openweb.data.{name}/versions/{version}"
                );
                let ask = async {
                    let answer = client.get(&url).send().await?.error_for_status()?;
                    answer.json::<Registered>().await
                };
                let registered = ask.await.map_err(LabError::http(&url))?;
                schemas.add(*kind, registered.id);
            }
        }
        Ok(schemas)
    }

    fn add(&mut self, kind: Kind, id: u32) {
        let mut header = [0; HEADER_BYTES];
        header[1..].copy_from_slice(&id.to_be_bytes());
        self.kinds.insert(header, kind);
        self.headers.insert(kind, header);
    }

    fn begin(&self, kind: Kind) -> Vec<u8> {
        // A kind that was not fetched would be written without a header, and be a dead letter.
        self.headers
            .get(&kind)
            .map(|header| header.to_vec())
            .unwrap_or_default()
    }

    /// The command to open an account.
    #[must_use]
    pub fn creation(&self, id: [u8; 16]) -> Vec<u8> {
        let mut bytes = self.begin(Kind::Creation);
        bytes.extend_from_slice(&id);
        put_long(&mut bytes, 0);
        bytes
    }

    /// The command to move money.
    #[must_use]
    pub fn transfer(&self, transfer: &Transfer<'_>) -> Vec<u8> {
        let mut bytes = self.begin(Kind::Transfer);
        bytes.extend_from_slice(&transfer.id);
        put_text(&mut bytes, transfer.token);
        put_long(&mut bytes, transfer.amount);
        put_text(&mut bytes, transfer.from);
        put_text(&mut bytes, transfer.to);
        put_text(&mut bytes, transfer.description);
        bytes
    }

    /// Reads a record of this topic to its last byte; none when it is not one of ours, or not there.
    #[must_use]
    pub fn read(&self, topic: &str, value: &[u8]) -> Option<Record> {
        let (header, datum) = value.split_first_chunk::<HEADER_BYTES>()?;
        let kind = *self.kinds.get(header)?;
        let belongs =
            |(home, _, kinds): &(&str, &str, &[Kind])| *home == topic && kinds.contains(&kind);
        SUBJECTS.iter().any(belongs).then_some(())?;
        let mut rest = Rest(datum);
        let record = match kind {
            Kind::Creation => {
                let id = rest.id()?;
                (0..=1).contains(&rest.long()?).then_some(())?;
                Record::Command { id }
            }
            Kind::Transfer => {
                let id = rest.id()?;
                rest.text()?;
                rest.long()?;
                for _ in 0..3 {
                    rest.text()?;
                }
                Record::Command { id }
            }
            Kind::Opened => {
                let id = rest.id()?;
                let opened = Some((rest.text()?.to_owned(), rest.text()?.to_owned()));
                rest.long()?;
                Record::Outcome {
                    id,
                    is_confirmed: true,
                    opened,
                }
            }
            Kind::Moved => Record::Outcome {
                id: rest.id()?,
                is_confirmed: true,
                opened: None,
            },
            Kind::NotOpened | Kind::NotMoved => {
                let id = rest.id()?;
                rest.text()?;
                Record::Outcome {
                    id,
                    is_confirmed: false,
                    opened: None,
                }
            }
            Kind::ChangeOf2019 | Kind::Change => {
                let iban = rest.text()?.to_owned();
                let new_balance = rest.long()?;
                let changed_by = rest.long()?;
                rest.text()?;
                let mut command = Uuid::try_parse(rest.text()?).ok().map(Uuid::into_bytes);
                let mut version = None;
                if kind == Kind::Change {
                    version = Some(rest.long()?).filter(|it| *it > 0);
                    if rest.long()? == 1 {
                        command = Some(rest.id()?);
                    }
                    rest.long()?;
                }
                Record::Change {
                    iban,
                    new_balance,
                    changed_by,
                    version,
                    command,
                }
            }
        };
        rest.0.is_empty().then_some(record)
    }
}

fn put_long(bytes: &mut Vec<u8>, number: i64) {
    // Avro's zig-zag: the sign moves to the lowest bit.
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_long(bytes, i64::try_from(text.len()).unwrap_or(i64::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn id(&mut self) -> Option<[u8; 16]> {
        let (id, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*id)
    }

    fn long(&mut self) -> Option<i64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.long()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn schemas() -> Schemas {
        let mut schemas = Schemas {
            kinds: HashMap::new(),
            headers: HashMap::new(),
        };
        let kinds = SUBJECTS.iter().flat_map(|(_, _, kinds)| *kinds);
        for (id, kind) in (1..).zip(kinds) {
            schemas.add(*kind, id);
        }
        schemas
    }

    #[test]
    fn given_a_transfer_when_written_then_its_bytes_are_those_of_the_avro_specification() {
        let bytes = schemas().transfer(&Transfer {
            id: [7; 16],
            token: "t",
            amount: -65,
            from: "cash",
            to: "",
            description: "Zo\u{eb}",
        });
        let mut expected = vec![0, 0, 0, 0, 2];
        expected.extend([7; 16]);
        expected.extend(b"\x02t\x81\x01\x08cash\x00\x08Zo\xc3\xab");
        assert_eq!(bytes, expected);
        assert_eq!(
            schemas().read(topics::TRANSFERS, &bytes),
            Some(Record::Command { id: [7; 16] })
        );
        assert_eq!(schemas().read(topics::CREATIONS, &bytes), None);
    }

    #[test]
    fn given_a_record_cut_short_or_too_long_when_read_then_it_is_none() {
        let mut bytes = schemas().creation([9; 16]);
        let read = |bytes: &[u8]| schemas().read(topics::CREATIONS, bytes);
        assert_eq!(read(&bytes), Some(Record::Command { id: [9; 16] }));
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None, "{length} bytes");
        }
        bytes.push(0);
        assert_eq!(read(&bytes), None);
    }

    #[test]
    fn given_changes_of_both_forms_when_read_then_each_names_its_command() {
        let id = Uuid::from_bytes([3; 16]);
        let mut old = vec![0, 0, 0, 0, 7];
        put_text(&mut old, "NL1");
        put_long(&mut old, 100);
        put_long(&mut old, -5);
        put_text(&mut old, "NL2");
        put_text(&mut old, &id.to_string());
        let mut new = old.clone();
        new[4] = 8;
        put_long(&mut new, 12);
        put_long(&mut new, 1);
        new.extend([4; 16]);
        put_long(&mut new, 99);
        let change = |version, command| Record::Change {
            iban: "NL1".to_owned(),
            new_balance: 100,
            changed_by: -5,
            version,
            command: Some(command),
        };
        let read = |bytes: &[u8]| schemas().read(topics::CHANGES, bytes);
        assert_eq!(read(&old), Some(change(None, [3; 16])));
        assert_eq!(read(&new), Some(change(Some(12), [4; 16])));
    }
}
