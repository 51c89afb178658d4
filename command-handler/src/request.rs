//! From a record to something the bank can decide on.

use arrayvec::ArrayVec;
use topology::CommandId;
use topology::records::borrowed::{ConfirmMoneyTransferRef, RecordRef};
use topology::records::{AccountType, ConfirmAccountCreation};

use crate::domain::{Command, Transfer};
use crate::keys;

/// BLAKE3 of a command's type and all its fields but the id: tells a repeat from a reused
/// id.
pub type RequestHash = [u8; 16];

/// A command with its identity.
#[derive(Clone, Debug)]
pub struct Request {
    /// Made by the client.
    pub id: CommandId,
    /// Of everything in it.
    pub hash: RequestHash,
    /// Who asked, for an account.
    pub account_type: Option<AccountType>,
    /// What is asked.
    pub command: Command,
}

impl Request {
    /// Reads a command record; `Err` names why it cannot be one.
    ///
    /// # Errors
    /// The reason for the dead letter.
    pub fn from_record(record: RecordRef<'_>) -> Result<Request, &'static str> {
        let request = match record {
            RecordRef::ConfirmAccountCreation(record) => account_creation(record),
            RecordRef::ConfirmMoneyTransfer(record) => money_transfer(record),
            _ => return Err("WRONG_TYPE"),
        };
        if request.id.is_nil() {
            return Err("NIL_COMMAND_ID");
        }
        Ok(request)
    }
}

fn account_creation(record: ConfirmAccountCreation) -> Request {
    let letter = match record.account_type {
        AccountType::Auto => "AUTO",
        AccountType::Manual => "MANUAL",
    };
    Request {
        id: record.id,
        hash: hash(ACCOUNT_CREATION, 0, [letter, "", "", ""]),
        account_type: Some(record.account_type),
        command: Command::OpenAccount,
    }
}

fn money_transfer(record: ConfirmMoneyTransferRef<'_>) -> Request {
    let token = record.token.expose();
    let texts = [token, record.from, record.to, record.description];
    Request {
        id: record.id,
        hash: hash(MONEY_TRANSFER, record.amount.0, texts),
        account_type: None,
        command: Command::Transfer(Transfer::read(
            record.amount,
            record.from,
            record.to,
            keys::digest(token),
            record.description,
        )),
    }
}

/// Stand for the type of a command in its hash.
const ACCOUNT_CREATION: u64 = 1;
const MONEY_TRANSFER: u64 = 2;

/// Room for what usual commands have in them.
const CONTENT_USUAL_BYTES: usize = 512;

/// The lengths of the texts go in before the texts, so that no two commands read alike.
fn hash(kind: u64, amount: i64, texts: [&str; 4]) -> RequestHash {
    let [one, two, three, four] = texts.map(|text| (text.len() as u64).to_be_bytes());
    let head = [
        kind.to_be_bytes(),
        amount.to_be_bytes(),
        one,
        two,
        three,
        four,
    ];
    let [one, two, three, four] = texts.map(str::as_bytes);
    let parts = [head.as_flattened(), one, two, three, four];
    // Hashing one piece is less work than five.
    let mut whole = ArrayVec::<u8, CONTENT_USUAL_BYTES>::new();
    let fits = |part: &&[u8]| whole.try_extend_from_slice(part).is_ok();
    let hash = if parts.iter().all(fits) {
        blake3::hash(&whole)
    } else {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    };
    let (half, _) = hash
        .as_bytes()
        .split_first_chunk()
        .expect("32 bytes hold 16");
    *half
}

#[cfg(test)]
mod tests {
    use topology::records::ConfirmMoneyTransfer;
    use topology::{Cents, Record, Token};

    use super::*;

    fn record() -> ConfirmMoneyTransfer {
        ConfirmMoneyTransfer {
            id: CommandId::from_bytes([1; 16]),
            token: Token::new("secret".to_owned()),
            amount: Cents(100),
            from: "NL66OPEN0000000000".to_owned(),
            to: "Shop".to_owned(),
            description: "book".to_owned(),
        }
    }

    fn hash_of(record: ConfirmMoneyTransfer) -> RequestHash {
        let record = Record::ConfirmMoneyTransfer(record);
        Request::from_record((&record).into()).unwrap().hash
    }

    #[test]
    fn every_field_counts_but_the_id() {
        let other = |change: fn(&mut ConfirmMoneyTransfer)| {
            let mut changed = record();
            change(&mut changed);
            hash_of(changed)
        };
        let same = hash_of(record());
        assert_eq!(other(|it| it.id = CommandId::from_bytes([2; 16])), same);
        for changed in [
            other(|it| it.token = Token::new("other".to_owned())),
            other(|it| it.amount = Cents(101)),
            other(|it| it.from.push('1')),
            other(|it| it.to.push('1')),
            other(|it| it.description.push('1')),
            other(|it| {
                it.to = "Shopb".to_owned();
                it.description = "ook".to_owned();
            }),
        ] {
            assert_ne!(changed, same);
        }
    }

    #[test]
    fn the_nil_id_and_a_foreign_record_are_no_commands() {
        let mut nil = record();
        nil.id = CommandId::from_bytes([0; 16]);
        let nil = Record::ConfirmMoneyTransfer(nil);
        let request = Request::from_record((&nil).into());
        assert_eq!(request.err(), Some("NIL_COMMAND_ID"));
        let beat = RecordRef::Heartbeat(topology::records::Heartbeat { beat: 1 });
        assert_eq!(Request::from_record(beat).err(), Some("WRONG_TYPE"));
    }
}
