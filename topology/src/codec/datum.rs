//! Avro datums of the newest schemas, read and written directly.
//!
//! A datum is its fields one after another, so that a record is written field by field
//! into a buffer that is used again, and read with its texts left where they stand. What
//! is accepted and what is written is exactly what [`super::reference`] accepts and
//! writes; `tests/codec_properties.rs` compares both over any bytes.

use crate::identity::CommandId;
use crate::money::Cents;
use crate::records::borrowed::{
    AccountCreationConfirmedRef, AccountCreationFailedRef, BalanceChangedRef,
    ConfirmMoneyTransferRef, MoneyTransferFailedRef, RecordRef, TokenRef,
};
use crate::records::{
    AccountType, ChangeIdentity, ConfirmAccountCreation, Heartbeat, MoneyTransferConfirmed,
    RecordKind,
};

/// A number of 64 bits in groups of seven.
const VARINT_BYTES_MAX: usize = 10;

/// What a datum has wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DatumError {
    #[error("the record ends too early")]
    Short,
    #[error("a number is longer than {VARINT_BYTES_MAX} bytes")]
    Number,
    #[error("a length is negative")]
    Length,
    #[error("a text is not UTF-8")]
    Text,
    #[error("an enum or a union has no such choice")]
    Choice,
}

/// Reads a record of this kind; also returns the bytes behind it.
pub(super) fn read(kind: RecordKind, datum: &[u8]) -> Result<(RecordRef<'_>, &[u8]), DatumError> {
    let mut rest = Rest(datum);
    let record = match kind {
        RecordKind::Heartbeat => RecordRef::Heartbeat(Heartbeat { beat: rest.long()? }),
        RecordKind::ConfirmAccountCreation => {
            RecordRef::ConfirmAccountCreation(ConfirmAccountCreation {
                id: rest.id()?,
                account_type: rest.account_type()?,
            })
        }
        RecordKind::AccountCreationConfirmed => {
            RecordRef::AccountCreationConfirmed(AccountCreationConfirmedRef {
                id: rest.id()?,
                iban: rest.text()?,
                token: TokenRef::new(rest.text()?),
                account_type: rest.account_type()?,
            })
        }
        RecordKind::AccountCreationFailed => {
            RecordRef::AccountCreationFailed(AccountCreationFailedRef {
                id: rest.id()?,
                reason: rest.text()?,
            })
        }
        RecordKind::ConfirmMoneyTransfer => {
            RecordRef::ConfirmMoneyTransfer(ConfirmMoneyTransferRef {
                id: rest.id()?,
                token: TokenRef::new(rest.text()?),
                amount: Cents(rest.long()?),
                from: rest.text()?,
                to: rest.text()?,
                description: rest.text()?,
            })
        }
        RecordKind::MoneyTransferConfirmed => {
            RecordRef::MoneyTransferConfirmed(MoneyTransferConfirmed { id: rest.id()? })
        }
        RecordKind::MoneyTransferFailed => RecordRef::MoneyTransferFailed(MoneyTransferFailedRef {
            id: rest.id()?,
            reason: rest.text()?,
        }),
        RecordKind::BalanceChanged => RecordRef::BalanceChanged(BalanceChangedRef {
            iban: rest.text()?,
            new_balance: Cents(rest.long()?),
            changed_by: Cents(rest.long()?),
            from_to: rest.text()?,
            description: rest.text()?,
            change: rest.change()?,
        }),
    };
    Ok((record, rest.0))
}

/// Appends a record's datum.
pub(super) fn write(bytes: &mut Vec<u8>, record: &RecordRef<'_>) {
    match record {
        RecordRef::Heartbeat(it) => put_long(bytes, it.beat),
        RecordRef::ConfirmAccountCreation(it) => {
            put_id(bytes, it.id);
            put_account_type(bytes, it.account_type);
        }
        RecordRef::AccountCreationConfirmed(it) => {
            put_id(bytes, it.id);
            put_text(bytes, it.iban);
            put_text(bytes, it.token.expose());
            put_account_type(bytes, it.account_type);
        }
        RecordRef::AccountCreationFailed(it) => {
            put_id(bytes, it.id);
            put_text(bytes, it.reason);
        }
        RecordRef::ConfirmMoneyTransfer(it) => {
            put_id(bytes, it.id);
            put_text(bytes, it.token.expose());
            put_long(bytes, it.amount.0);
            put_text(bytes, it.from);
            put_text(bytes, it.to);
            put_text(bytes, it.description);
        }
        RecordRef::MoneyTransferConfirmed(it) => put_id(bytes, it.id),
        RecordRef::MoneyTransferFailed(it) => {
            put_id(bytes, it.id);
            put_text(bytes, it.reason);
        }
        RecordRef::BalanceChanged(it) => {
            put_text(bytes, it.iban);
            put_long(bytes, it.new_balance.0);
            put_long(bytes, it.changed_by.0);
            put_text(bytes, it.from_to);
            put_text(bytes, it.description);
            put_change(bytes, it.change);
        }
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Seven bits a byte, the lowest first. Bits beyond the 64th are dropped, as the
    /// reference does.
    fn varint(&mut self) -> Result<u64, DatumError> {
        if let [byte @ ..=0x7f, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        let mut number = 0;
        for (position, byte) in self.0.iter().take(VARINT_BYTES_MAX).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                self.0 = &self.0[position + 1..];
                return Ok(number);
            }
        }
        Err(if self.0.len() < VARINT_BYTES_MAX {
            DatumError::Short
        } else {
            DatumError::Number
        })
    }

    /// Zigzag: the sign in the lowest bit.
    fn long(&mut self) -> Result<i64, DatumError> {
        let number = self.varint()?;
        let magnitude = (number >> 1).cast_signed();
        Ok(if number & 1 == 0 {
            magnitude
        } else {
            !magnitude
        })
    }

    fn text(&mut self) -> Result<&'a str, DatumError> {
        let length = usize::try_from(self.long()?).map_err(|_| DatumError::Length)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(DatumError::Short)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| DatumError::Text)
    }

    fn id(&mut self) -> Result<CommandId, DatumError> {
        let (id, rest) = self.0.split_first_chunk().ok_or(DatumError::Short)?;
        self.0 = rest;
        Ok(CommandId::from_bytes(*id))
    }

    fn account_type(&mut self) -> Result<AccountType, DatumError> {
        match self.long()? {
            0 => Ok(AccountType::Auto),
            1 => Ok(AccountType::Manual),
            _ => Err(DatumError::Choice),
        }
    }

    /// The fields the second version of `BalanceChanged` added; without a command there is
    /// no identity, whatever the other two say.
    fn change(&mut self) -> Result<Option<ChangeIdentity>, DatumError> {
        let version = self.long()?;
        let command_id = match self.long()? {
            0 => None,
            1 => Some(self.id()?),
            _ => return Err(DatumError::Choice),
        };
        let occurred_at_us = self.long()?;
        Ok(command_id.map(|command_id| ChangeIdentity {
            version,
            command_id,
            occurred_at_us,
        }))
    }
}

fn put_long(bytes: &mut Vec<u8>, number: i64) {
    let mut zigzag = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while zigzag > 0x7f {
        bytes.push(low_byte(zigzag) | 0x80);
        zigzag >>= 7;
    }
    bytes.push(low_byte(zigzag));
}

fn low_byte(number: u64) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_long(bytes, text.len().try_into().unwrap_or(i64::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

fn put_id(bytes: &mut Vec<u8>, id: CommandId) {
    bytes.extend_from_slice(&id.to_bytes());
}

fn put_account_type(bytes: &mut Vec<u8>, account_type: AccountType) {
    put_long(
        bytes,
        match account_type {
            AccountType::Auto => 0,
            AccountType::Manual => 1,
        },
    );
}

fn put_change(bytes: &mut Vec<u8>, change: Option<ChangeIdentity>) {
    match change {
        Some(change) => {
            put_long(bytes, change.version);
            put_long(bytes, 1);
            put_id(bytes, change.command_id);
            put_long(bytes, change.occurred_at_us);
        }
        None => bytes.extend_from_slice(&[0, 0, 0]),
    }
}
