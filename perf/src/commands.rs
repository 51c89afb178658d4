//! Commands of a run, encoded before it starts, so that sending costs as little as it can.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::wire::{Headers, Transfer};
use crate::workload::Payment;

/// An account that the benchmark may pay from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub iban: String,
    /// Its secret.
    pub token: String,
}

/// Number of a run within a benchmark; part of each command's id.
pub type RunNumber = u16;

/// Runs that can be told apart: twelve bits of the id.
pub const RUNS_MAX: RunNumber = 0x0fff;

/// Makes a command's id: a version 7 UUID that says by itself which command of which run
/// it is, as RFC 9562 allows for its random bits.
#[must_use]
pub fn command_id(run: RunNumber, index: u32, unix_ms: u64) -> [u8; 16] {
    let [_, _, time @ ..] = unix_ms.to_be_bytes();
    let [run_high, run_low] = run.to_be_bytes();
    let [i0, i1, i2, i3] = index.to_be_bytes();
    let [t0, t1, t2, t3, t4, t5] = time;
    let version = 0x70 | (run_high & 0x0f);
    [
        t0, t1, t2, t3, t4, t5, version, run_low, 0x80, 0xba, 0x9c, 0x0d, i0, i1, i2, i3,
    ]
}

/// Which command of which run an id names.
#[must_use]
pub fn index_in(id: [u8; 16]) -> (RunNumber, u32) {
    let [.., version, run, _, _, _, _, i0, i1, i2, i3] = id;
    (
        RunNumber::from_be_bytes([version & 0x0f, run]),
        u32::from_be_bytes([i0, i1, i2, i3]),
    )
}

/// The same, as text in a payment's description: the article's events carry no id.
#[must_use]
pub fn description(run: RunNumber, index: u32) -> String {
    format!("p{run:03x}{index:08x}")
}

/// Which command a description names.
#[must_use]
pub fn index_in_description(text: &str) -> Option<(RunNumber, u32)> {
    let digits = text.strip_prefix('p')?;
    let (run, index) = digits.split_at_checked(3)?;
    Some((
        RunNumber::from_str_radix(run, 16).ok()?,
        u32::from_str_radix(index, 16).ok()?,
    ))
}

/// Encoded commands with their keys.
#[derive(Debug, Default)]
pub struct Commands {
    bytes: Vec<u8>,
    /// Where in `bytes` each key and each value ends.
    ends: Vec<(usize, usize)>,
}

impl Commands {
    /// Payments of a run, keyed by the payer.
    #[must_use]
    pub fn payments(
        headers: &Headers,
        accounts: &[Account],
        payments: &[Payment],
        run: RunNumber,
    ) -> Commands {
        let mut commands = Commands::default();
        let now = unix_ms();
        for (index, payment) in (0_u32..).zip(payments) {
            let (payer, payee) = (&accounts[payment.payer], &accounts[payment.payee]);
            commands.add(payer.iban.as_bytes(), |bytes| {
                let transfer = Transfer {
                    id: command_id(run, index, now),
                    token: &payer.token,
                    amount: payment.amount,
                    from: &payer.iban,
                    to: &payee.iban,
                    description: &description(run, index),
                };
                headers.write_transfer(bytes, &transfer);
            });
        }
        commands
    }

    /// Deposits of cash, one for each account, keyed by the receiver as the contract says.
    #[must_use]
    pub fn deposits(
        headers: &Headers,
        accounts: &[Account],
        amount: i64,
        run: RunNumber,
    ) -> Commands {
        let mut commands = Commands::default();
        let now = unix_ms();
        for (index, account) in (0_u32..).zip(accounts) {
            commands.add(account.iban.as_bytes(), |bytes| {
                let transfer = Transfer {
                    id: command_id(run, index, now),
                    token: "cash",
                    amount,
                    from: topology::CASH,
                    to: &account.iban,
                    description: &description(run, index),
                };
                headers.write_transfer(bytes, &transfer);
            });
        }
        commands
    }

    /// Commands to open accounts, keyed by their id.
    #[must_use]
    pub fn creations(headers: &Headers, count: u32, run: RunNumber) -> Commands {
        let mut commands = Commands::default();
        let now = unix_ms();
        for index in 0..count {
            let id = command_id(run, index, now);
            let key = uuid::Uuid::from_bytes(id).to_string();
            commands.add(key.as_bytes(), |bytes| headers.write_creation(bytes, id));
        }
        commands
    }

    fn add(&mut self, key: &[u8], write_value: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        write_value(&mut self.bytes);
        self.ends.push((key_end, self.bytes.len()));
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Key and value of a command.
    ///
    /// # Panics
    /// When there is no such command.
    #[must_use]
    pub fn get(&self, index: usize) -> (&[u8], &[u8]) {
        let start = match index {
            0 => 0,
            index => self.ends[index - 1].1,
        };
        let (key_end, end) = self.ends[index];
        (&self.bytes[start..key_end], &self.bytes[key_end..end])
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_version_7_uuid_and_says_which_command_it_is() {
        let id = command_id(0x0abc, 0x0102_0304, 1_700_000_000_000);
        let uuid = uuid::Uuid::from_bytes(id);
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(index_in(id), (0x0abc, 0x0102_0304));
        assert!(command_id(1, 2, 5) < command_id(1, 3, 5));
    }

    #[test]
    fn a_description_says_the_same() {
        let text = description(RUNS_MAX, u32::MAX);
        assert_eq!(index_in_description(&text), Some((RUNS_MAX, u32::MAX)));
        for text in ["", "p", "Opening balance", "pzzz00000000", "p00"] {
            assert_eq!(index_in_description(text), None, "{text}");
        }
    }
}
