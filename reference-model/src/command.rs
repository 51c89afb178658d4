//! What goes into the model: commands as they stand in their topics, and the facts about them
//! that no model can know.

/// The identity a client gave its command, 16 bytes as in the record.
pub type CommandId = [u8; 16];

/// The id as records have it in their keys: lower case, with hyphens.
#[must_use]
pub fn id_text(id: &CommandId) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(36);
    for (place, byte) in id.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

/// Who asked for an account; it stands in the record, and no rule depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// The simulated public.
    Auto,
    /// A person.
    Manual,
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields of the records of the same name")]
pub enum Request {
    /// A record `ConfirmAccountCreation`.
    OpenAccount { kind: AccountKind },
    /// A record `ConfirmMoneyTransfer`.
    Transfer {
        token: String,
        amount_cents: i64,
        from: String,
        to: String,
        description: String,
    },
}

/// A command: its first record in the log; copies of it change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields of the records of the same name")]
pub struct Command {
    pub id: CommandId,
    pub request: Request,
}

/// Number and token of a new account, from its `AccountCreationConfirmed`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields of the record of the same name")]
pub struct Assigned {
    pub iban: String,
    pub token: String,
}

/// What a model cannot work out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The timestamp of the command's first record in the log, in milliseconds since 1970, as
    /// Kafka gives it; -1 when it has none, which counts as 0.
    pub recorded_at_ms: i64,
    /// The account that was opened; `None` for transfers, and when no number was free.
    pub assigned: Option<Assigned>,
}
