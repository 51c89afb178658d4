//! Avro by hand, right and wrong: what a stranger may write.

use uuid::Uuid;

/// A datum under construction.
#[derive(Clone, Default)]
pub(crate) struct Datum(pub(crate) Vec<u8>);

impl Datum {
    /// Zigzag, seven bits a byte.
    pub(crate) fn long(mut self, number: i64) -> Datum {
        let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while rest > 0x7f {
            self.0.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.0.push(rest.to_le_bytes()[0]);
        self
    }

    pub(crate) fn text(self, text: &str) -> Datum {
        self.counted(text.as_bytes())
    }

    /// Bytes with their length in front, text or not.
    pub(crate) fn counted(self, bytes: &[u8]) -> Datum {
        let length = i64::try_from(bytes.len()).expect("a test's text is short");
        self.long(length).raw(bytes)
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Datum {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The wire format: a zero byte, the schema's id, the datum.
    pub(crate) fn framed(self, schema_id: u32) -> Vec<u8> {
        [&[0], &schema_id.to_be_bytes()[..], &self.0].concat()
    }
}

/// A `ConfirmMoneyTransfer` of which any field may be changed.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) id: Uuid,
    pub(crate) token: String,
    pub(crate) amount_cents: i64,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) description: String,
}

impl Transfer {
    pub(crate) fn datum(&self) -> Datum {
        self.until_amount()
            .text(&self.from)
            .text(&self.to)
            .text(&self.description)
    }

    /// The fields in front of the texts, for records that go wrong behind them.
    pub(crate) fn until_amount(&self) -> Datum {
        Datum::default()
            .raw(self.id.as_bytes())
            .text(&self.token)
            .long(self.amount_cents)
    }
}

/// A `BalanceChanged` of which any field may be changed.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) iban: String,
    pub(crate) new_balance_cents: i64,
    pub(crate) changed_by_cents: i64,
    pub(crate) from_to: String,
    pub(crate) description: String,
    pub(crate) version: i64,
    pub(crate) command_id: Uuid,
    pub(crate) occurred_at_us: i64,
}

impl Change {
    pub(crate) fn datum(&self) -> Datum {
        self.of_2019()
            .long(self.version)
            .long(1)
            .raw(self.command_id.as_bytes())
            .long(self.occurred_at_us)
    }

    pub(crate) fn of_2019(&self) -> Datum {
        Datum::default()
            .text(&self.iban)
            .long(self.new_balance_cents)
            .long(self.changed_by_cents)
            .text(&self.from_to)
            .text(&self.description)
    }
}

/// Every beginning of a value that is not all of it, behind the frame: a cut frame is tried
/// by itself.
pub(crate) fn cut_everywhere(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (5..value.len()).map(|length| value[..length].to_vec())
}

/// The value with one bit turned, by the number of the bit.
pub(crate) fn turned(mut value: Vec<u8>, bit: usize) -> Vec<u8> {
    value[bit / 8] ^= 1 << (bit % 8);
    value
}
