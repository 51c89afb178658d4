//! What clients recorded, judged alone and turned into facts for the commands they sent.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::facts::{
    Followed, Id, OF_THE_WHOLE, OfAccount, OfCommand, Party, SAID_NO, SAID_NOTHING, SAID_YES, Told,
};
use crate::history::{Event, Operation, Phase};
use crate::invariants::Name;
use crate::reading::bucket_of;
use crate::records::{party, refusal};
use crate::report::CannotCheck;
use crate::spill::{Writer, Written};
use crate::tally::Tally;

/// What is judged by a history.
const BY_HISTORY: [Name; 5] = [Name::B6, Name::B7, Name::D5, Name::D6, Name::D7];

/// What a history says.
pub(crate) struct Heard {
    pub(crate) of_commands: Written,
    pub(crate) of_accounts: Written,
    pub(crate) tally: Tally,
}

#[derive(Default)]
struct Follower {
    is_permitted: bool,
    next: i64,
}

#[derive(Default)]
struct Listener {
    tally: Tally,
    /// When commands were first sent, of those without a final answer.
    sent: HashMap<Id, u64>,
    read: HashMap<(String, String, String), i64>,
    followers: HashMap<(String, u64), Follower>,
}

/// Reads a history, or says that there is none.
pub(crate) fn read_history(path: Option<&Path>, scratch: &Path) -> Result<Heard, CannotCheck> {
    let mut of_commands = Writer::new(scratch, "history");
    let mut of_accounts = Writer::new(scratch, "history-accounts");
    let mut listener = Listener::default();
    match path {
        None => {
            for name in BY_HISTORY {
                listener
                    .tally
                    .not_asked(name, "no history of clients was given");
            }
        }
        Some(path) => {
            let name = path.display().to_string();
            let unreadable = |source| CannotCheck::File {
                action: "read",
                path: name.clone(),
                source,
            };
            let file = BufReader::new(File::open(path).map_err(&unreadable)?);
            for (number, line) in file.lines().enumerate() {
                let line = line.map_err(&unreadable)?;
                let event = serde_json::from_str(&line).map_err(|source| CannotCheck::History {
                    path: name.clone(),
                    line: number + 1,
                    source,
                })?;
                listener.hear(&event, number + 1, &mut of_commands, &mut of_accounts)?;
            }
        }
    }
    Ok(Heard {
        of_commands: of_commands.finish()?,
        of_accounts: of_accounts.finish()?,
        tally: listener.tally,
    })
}

impl Listener {
    fn hear(
        &mut self,
        event: &Event,
        line: usize,
        of_commands: &mut Writer,
        of_accounts: &mut Writer,
    ) -> Result<(), CannotCheck> {
        match &event.operation {
            Operation::OpenAccount { command_id } => {
                let told = self.told(event, *command_id, None);
                put(of_commands, told)
            }
            Operation::Transfer {
                command_id,
                from,
                to,
                amount_cents,
            } => {
                let fields = (party(from), party(to), *amount_cents);
                let told = self.told(event, *command_id, Some(fields));
                put(of_commands, told)
            }
            Operation::Read {
                iban,
                version,
                gateway,
            } => {
                if let (Phase::Ok, Some(version)) = (event.phase, version) {
                    let key = (event.client.clone(), gateway.clone(), iban.clone());
                    let last = self.read.entry(key).or_insert(*version);
                    let before = std::mem::replace(last, *version);
                    self.tally.check(Name::D6, before <= *version, || {
                        format!("history line {line}: {iban} at version {version}, after {before}")
                    });
                }
                Ok(())
            }
            Operation::Subscribe {
                iban,
                subscription,
                after_version,
                is_permitted,
            } => {
                let key = (event.client.clone(), *subscription);
                if event.phase == Phase::Invoke {
                    self.subscribe(key, line, *after_version, *is_permitted);
                } else if event.phase == Phase::Ok && *is_permitted {
                    let seen = self.followers.get(&key).map_or(0, |it| it.next - 1);
                    let followed = OfAccount::Followed(Followed {
                        subscription: *subscription,
                        version: seen,
                    });
                    let account = Party::of(iban);
                    of_accounts.put(account.0, &followed.pack(account, OF_THE_WHOLE))?;
                }
                Ok(())
            }
            Operation::Receive {
                iban,
                subscription,
                version,
            } => {
                let key = (event.client.clone(), *subscription);
                self.receive(key, line, iban, *version);
                Ok(())
            }
        }
    }

    fn subscribe(&mut self, key: (String, u64), line: usize, after: i64, is_permitted: bool) {
        let follower = self.followers.entry(key).or_insert(Follower {
            is_permitted,
            next: after + 1,
        });
        follower.is_permitted = is_permitted;
        // A reconnect asks to go on where it was, not elsewhere.
        let agrees = follower.next == after + 1;
        self.tally.check(Name::D5, agrees, || {
            format!("history line {line}: goes on after version {after}")
        });
        if !is_permitted {
            self.tally.checked(Name::D7, 1);
        }
    }

    fn receive(&mut self, key: (String, u64), line: usize, iban: &str, version: i64) {
        let follower = self.followers.entry(key).or_default();
        if !follower.is_permitted {
            self.tally.offend(Name::D7, || {
                format!("history line {line}: a change of {iban} for somebody who must not see it")
            });
            return;
        }
        let expected = follower.next;
        follower.next = version + 1;
        self.tally.check(Name::D5, version == expected, || {
            format!("history line {line}: version {version} of {iban}, expected {expected}")
        });
    }

    fn told(
        &mut self,
        event: &Event,
        command_id: uuid::Uuid,
        transfer: Option<(Party, Party, i64)>,
    ) -> Option<(Id, Told)> {
        let id = Id(command_id.as_u128());
        let phase = match event.phase {
            Phase::Invoke => {
                self.sent.entry(id).or_insert(event.monotonic_ns);
                return None;
            }
            Phase::Ok => SAID_YES,
            Phase::Fail => SAID_NO,
            Phase::Info => SAID_NOTHING,
        };
        // After silence the same id is sent again.
        let sent = match phase {
            SAID_NOTHING => self.sent.get(&id).copied(),
            _ => self.sent.remove(&id),
        };
        let (from, to, amount) = transfer.unwrap_or((Party(0), Party(0), 0));
        let told = Told {
            answered_ns: event.monotonic_ns,
            invoked_ns: sent.unwrap_or_default(),
            phase,
            from,
            to,
            amount,
            refusal: event.reason.as_deref().map_or(0, refusal),
            is_transfer: transfer.is_some(),
        };
        Some((id, told))
    }
}

fn put(writer: &mut Writer, told: Option<(Id, Told)>) -> Result<(), CannotCheck> {
    match told {
        Some((id, told)) => writer.put(bucket_of(id.0), &OfCommand::Told(told).pack(id)),
        None => Ok(()),
    }
}
