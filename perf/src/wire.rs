//! The records the benchmark writes and reads, with an Avro of its own.
//!
//! Only the ids of the schemas come from the services' codec: the eyes that judge a
//! handler must not be its own. It also keeps the load generator cheap.

use topology::records::{
    AccountCreationConfirmed, AccountCreationFailed, AccountType, ConfirmAccountCreation,
    ConfirmMoneyTransfer, MoneyTransferConfirmed, MoneyTransferFailed,
};
use topology::{Cents, Codec, CommandId, EncodeError, Record, Token, Topic, Topics};

/// The zero byte and the schema's id in front of each value.
pub type Header = [u8; 5];

/// The headers of all records the benchmark writes or must tell apart.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    creation: Header,
    transfer: Header,
    account_confirmed: Header,
    transfer_confirmed: Header,
}

impl Headers {
    /// Asks the registry, once.
    ///
    /// # Errors
    /// A fault of the codec.
    pub async fn fetch(registry_url: &str, topics: &Topics) -> Result<Headers, EncodeError> {
        const TOPICS: [Topic; 4] = [
            Topic::ConfirmAccountCreation,
            Topic::ConfirmMoneyTransfer,
            Topic::AccountCreationFeedback,
            Topic::MoneyTransferFeedback,
        ];
        let codec = Codec::connect(registry_url, topics, &TOPICS).await;
        let header = |topic, record: Record| -> Result<Header, EncodeError> {
            let bytes = codec.encode(topic, &record)?;
            let (header, _) = bytes
                .split_first_chunk()
                .expect("a record has a header of five bytes");
            Ok(*header)
        };
        let id = CommandId::from_bytes([1; 16]);
        let account_type = AccountType::Auto;
        let token = || Token::new(String::new());
        let creation = ConfirmAccountCreation { id, account_type };
        let transfer = ConfirmMoneyTransfer {
            id,
            token: token(),
            amount: Cents(1),
            from: String::new(),
            to: String::new(),
            description: String::new(),
        };
        let account_confirmed = AccountCreationConfirmed {
            id,
            iban: String::new(),
            token: token(),
            account_type,
        };
        let reason = String::new();
        let account_failed = AccountCreationFailed { id, reason };
        let reason = String::new();
        let transfer_failed = MoneyTransferFailed { id, reason };
        let [creations, transfers, accounts, answers] = TOPICS;
        let headers = Headers {
            creation: header(creations, Record::ConfirmAccountCreation(creation))?,
            transfer: header(transfers, Record::ConfirmMoneyTransfer(transfer))?,
            account_confirmed: header(
                accounts,
                Record::AccountCreationConfirmed(account_confirmed),
            )?,
            transfer_confirmed: header(
                answers,
                Record::MoneyTransferConfirmed(MoneyTransferConfirmed { id }),
            )?,
        };
        let failures = [
            header(accounts, Record::AccountCreationFailed(account_failed))?,
            header(answers, Record::MoneyTransferFailed(transfer_failed))?,
        ];
        debug_assert!(!failures.contains(&headers.account_confirmed));
        debug_assert!(!failures.contains(&headers.transfer_confirmed));
        Ok(headers)
    }

    /// Writes the command to open an account.
    pub fn write_creation(&self, bytes: &mut Vec<u8>, id: [u8; 16]) {
        bytes.extend_from_slice(&self.creation);
        bytes.extend_from_slice(&id);
        put_long(bytes, 0);
    }

    /// Writes the command to move money.
    pub fn write_transfer(&self, bytes: &mut Vec<u8>, transfer: &Transfer<'_>) {
        bytes.extend_from_slice(&self.transfer);
        bytes.extend_from_slice(&transfer.id);
        put_text(bytes, transfer.token);
        put_long(bytes, transfer.amount);
        put_text(bytes, transfer.from);
        put_text(bytes, transfer.to);
        put_text(bytes, transfer.description);
    }

    /// Reads an outcome, of a transfer or of an account.
    #[must_use]
    pub fn read_outcome<'a>(&self, value: &'a [u8]) -> Option<Outcome<'a>> {
        let (header, datum) = value.split_first_chunk::<5>()?;
        let mut rest = Rest(datum);
        let id = *rest.id()?;
        let opened = (*header == self.account_confirmed)
            .then(|| Some((rest.text()?, rest.text()?)))
            .flatten();
        Some(Outcome {
            id,
            is_confirmed: opened.is_some() || *header == self.transfer_confirmed,
            opened,
        })
    }
}

/// The fields of a command to move money.
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

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// The command.
    pub id: [u8; 16],
    /// Yes or no.
    pub is_confirmed: bool,
    /// Number and token of the account it opened.
    pub opened: Option<(&'a str, &'a str)>,
}

/// A change of a balance, as far as the benchmark reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Signed, in cents.
    pub changed_by: i64,
    /// What for: here the benchmark notes which command it is, since the article's
    /// events do not say.
    pub description: &'a str,
}

/// Reads a change of a balance, of either version.
#[must_use]
pub fn read_change(value: &[u8]) -> Option<Change<'_>> {
    let (_, datum) = value.split_first_chunk::<5>()?;
    let mut rest = Rest(datum);
    let _iban = rest.text()?;
    let _new_balance = rest.long()?;
    let changed_by = rest.long()?;
    let _from_to = rest.text()?;
    let description = rest.text()?;
    Some(Change {
        changed_by,
        description,
    })
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
    fn id(&mut self) -> Option<&'a [u8; 16]> {
        let (id, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(id)
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
mod tests {
    use topology::records::{BalanceChanged, ChangeIdentity, RecordKind as Kind};

    use super::*;

    fn codec() -> Codec {
        Codec::with_ids(&[
            (
                Topic::ConfirmMoneyTransfer,
                Kind::ConfirmMoneyTransfer,
                0x0102_0304,
            ),
            (
                Topic::ConfirmAccountCreation,
                Kind::ConfirmAccountCreation,
                2,
            ),
            (
                Topic::MoneyTransferFeedback,
                Kind::MoneyTransferConfirmed,
                3,
            ),
            (Topic::MoneyTransferFeedback, Kind::MoneyTransferFailed, 4),
            (
                Topic::AccountCreationFeedback,
                Kind::AccountCreationConfirmed,
                6,
            ),
            (Topic::BalanceChanged, Kind::BalanceChanged, 5),
        ])
    }

    const HEADERS: Headers = Headers {
        creation: [0, 0, 0, 0, 2],
        transfer: [0, 1, 2, 3, 4],
        account_confirmed: [0, 0, 0, 0, 6],
        transfer_confirmed: [0, 0, 0, 0, 3],
    };

    #[test]
    fn the_commands_are_those_of_the_services_byte_for_byte() {
        for amount in [0, 1, 63, 64, -1, 12_345_678, i64::MAX, i64::MIN] {
            let record = Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer {
                id: CommandId::from_bytes([7; 16]),
                token: Token::new("secret".to_owned()),
                amount: Cents(amount),
                from: "cash".to_owned(),
                to: "Zoë".to_owned(),
                description: "x".repeat(200),
            });
            let expected = codec()
                .encode(Topic::ConfirmMoneyTransfer, &record)
                .unwrap();
            let mut bytes = Vec::new();
            HEADERS.write_transfer(
                &mut bytes,
                &Transfer {
                    id: [7; 16],
                    token: "secret",
                    amount,
                    from: "cash",
                    to: "Zoë",
                    description: &"x".repeat(200),
                },
            );
            assert_eq!(bytes, expected, "{amount}");
        }
        let record = Record::ConfirmAccountCreation(ConfirmAccountCreation {
            id: CommandId::from_bytes([7; 16]),
            account_type: AccountType::Auto,
        });
        let expected = codec()
            .encode(Topic::ConfirmAccountCreation, &record)
            .unwrap();
        let mut bytes = Vec::new();
        HEADERS.write_creation(&mut bytes, [7; 16]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn outcomes_and_changes_are_read_as_the_services_write_them() {
        let id = CommandId::from_bytes([9; 16]);
        let answers = Topic::MoneyTransferFeedback;
        let yes = Record::MoneyTransferConfirmed(MoneyTransferConfirmed { id });
        let yes = codec().encode(answers, &yes).unwrap();
        let read = HEADERS.read_outcome(&yes).unwrap();
        assert_eq!((read.id, read.is_confirmed), ([9; 16], true));
        let reason = "no".to_owned();
        let no = Record::MoneyTransferFailed(MoneyTransferFailed { id, reason });
        let no = codec().encode(answers, &no).unwrap();
        assert!(!HEADERS.read_outcome(&no).unwrap().is_confirmed);

        let opened = Record::AccountCreationConfirmed(AccountCreationConfirmed {
            id,
            iban: "NL1".to_owned(),
            token: Token::new("t".to_owned()),
            account_type: AccountType::Auto,
        });
        let opened = codec()
            .encode(Topic::AccountCreationFeedback, &opened)
            .unwrap();
        let read = HEADERS.read_outcome(&opened).unwrap();
        assert_eq!((read.opened, read.is_confirmed), (Some(("NL1", "t")), true));

        let change = Record::BalanceChanged(BalanceChanged {
            iban: "NL1".to_owned(),
            new_balance: Cents(10),
            changed_by: Cents(-5),
            from_to: "NL2".to_owned(),
            description: "what for".to_owned(),
            change: Some(ChangeIdentity {
                version: 1,
                command_id: id,
                occurred_at_us: 1,
            }),
        });
        let change = codec().encode(Topic::BalanceChanged, &change).unwrap();
        let read = read_change(&change).unwrap();
        assert_eq!((read.changed_by, read.description), (-5, "what for"));
        for length in 0..24 {
            assert_eq!(read_change(&change[..length]), None, "{length} bytes");
        }
    }
}
