//! Topics into facts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rdkafka::Message;
use rdkafka::message::BorrowedMessage;

use crate::cut::Cut;
use crate::dead_places::{DeadPlaces, spread, value_digest};
use crate::facts::{
    Answered, Asked, CHANGES, Changed, Id, Letter, OfCommand, Party, Place, TOPICS, dead, digest,
};
use crate::invariants::Name;
use crate::kafka::{Counters, Kafka, Offsets, partition_of};
use crate::records::{
    Record, answer_digest, content, party, read_record, refusal, refused_by_form, split,
};
use crate::registry::{Meaning, Registry};
use crate::report::CannotCheck;
use crate::spill::{Writer, Written};
use crate::tally::Tally;

/// What reading a topic needs and knows of the cut; shared by its threads.
pub(crate) struct Reading {
    pub(crate) kafka: Kafka,
    pub(crate) registry: Arc<Registry>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) letters: DeadPlaces,
}

/// What was read of some topics.
pub(crate) struct Read {
    pub(crate) of_commands: Written,
    pub(crate) letters: Written,
    pub(crate) tally: Tally,
}

impl Reading {
    /// Reads topics, one after another.
    pub(crate) fn read(
        &self,
        cut: &View,
        topics: &[u8],
        scratch: &Path,
    ) -> Result<Read, CannotCheck> {
        let name = format!("topic{}", topics[0]);
        let mut sink = Sink {
            reading: self,
            cut,
            of_commands: Writer::new(scratch, &name),
            letters: Writer::new(scratch, &format!("{name}-sources")),
            tally: Tally::default(),
            known: HashMap::new(),
        };
        for topic in topics {
            let holes = self.kafka.read(
                *topic,
                &Offsets::new(),
                &cut.ends,
                &self.counters.records,
                &mut |at, message| sink.take(at, message),
            )?;
            if holes > 0 {
                let name = TOPICS[usize::from(*topic)];
                sink.tally.check(Name::F1, false, || {
                    format!("{name}: {holes} offsets before its end give no record")
                });
            }
        }
        Ok(Read {
            of_commands: sink.of_commands.finish()?,
            letters: sink.letters.finish()?,
            tally: sink.tally,
        })
    }
}

/// What of a cut the readers of topics need.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Read up to here.
    pub(crate) ends: Offsets,
    sent_before: Offsets,
    projected: Offsets,
    partitions: std::collections::BTreeMap<u8, usize>,
}

impl View {
    pub(crate) fn of(cut: &Cut) -> View {
        let mut ends = cut.read_to.clone();
        ends.extend(cut.decided.iter().map(|(at, end)| (*at, *end)));
        View {
            ends,
            sent_before: cut.sent_before.clone(),
            projected: cut.projected.clone(),
            partitions: cut.partitions.clone(),
        }
    }

    fn is_late(&self, at: Place) -> bool {
        let before = self.sent_before.get(&(at.topic, at.partition));
        before.is_none_or(|before| at.offset >= *before)
    }

    fn is_projected(&self, at: Place) -> bool {
        let end = self.projected.get(&(at.topic, at.partition));
        end.is_some_and(|end| at.offset < *end)
    }
}

struct Sink<'a> {
    reading: &'a Reading,
    cut: &'a View,
    of_commands: Writer,
    letters: Writer,
    tally: Tally,
    /// Without a lock for each record.
    known: HashMap<u32, Arc<Meaning>>,
}

impl Sink<'_> {
    fn take(&mut self, at: Place, message: &BorrowedMessage<'_>) -> Result<(), CannotCheck> {
        let class = self.reading.letters.class(at);
        let meaning = self.meaning(at, message, class)?;
        let value = message.payload().unwrap_or_default();
        let datum = value.get(5..).unwrap_or_default();
        let record = meaning
            .as_ref()
            .and_then(|meaning| read_record(&meaning.schema, datum).ok())
            .filter(|record| {
                !matches!(record, Record::Create { id: 0, .. })
                    && !matches!(record, Record::Move(it) if it.id == 0)
            });
        let is_read = record.is_some();
        // Of events, only what the projection has passed must have been dealt with.
        let must_be_dead = !is_read && (at.topic < 2 || self.cut.is_projected(at));
        self.tally
            .check(Name::F1, !must_be_dead || class != dead::NOT, || {
                format!("{at} is no record that can be understood, and no dead letter")
            });
        if class != dead::NOT || must_be_dead {
            let letter = Letter {
                source: at,
                is_letter: false,
                at,
                key: digest(message.key().unwrap_or_default()),
                value: value_digest(message),
                reason: 0,
                must_be_dead,
            };
            self.letters.put(spread(at), &letter.packed())?;
        }
        match record {
            Some(record) => self.keep(at, class, message, &record),
            None => Ok(()),
        }
    }

    fn meaning(
        &mut self,
        at: Place,
        message: &BorrowedMessage<'_>,
        class: u8,
    ) -> Result<Option<Arc<Meaning>>, CannotCheck> {
        let Ok((id, _)) = split(message.payload()) else {
            return Ok(None);
        };
        let known = match self.known.get(&id) {
            Some(known) => Some(Arc::clone(known)),
            None => self.reading.registry.meaning(id)?,
        };
        if class == dead::NOT {
            self.reading.registry.uses(id, at.topic, || at.to_string());
        }
        let Some(known) = known else { return Ok(None) };
        self.known.entry(id).or_insert_with(|| Arc::clone(&known));
        Ok(crate::records::belongs(at.topic, &known.schema.name).then_some(known))
    }

    fn keep(
        &mut self,
        at: Place,
        class: u8,
        message: &BorrowedMessage<'_>,
        record: &Record<'_>,
    ) -> Result<(), CannotCheck> {
        let key = message.key().unwrap_or_default();
        let value = message.payload().unwrap_or_default();
        let timestamp_ms = message.timestamp().to_millis().unwrap_or_default();
        let (id, fact) = match record {
            Record::Create { id, .. } => (*id, asked(at, class, timestamp_ms, record)),
            Record::Move(it) => (it.id, asked(at, class, timestamp_ms, record)),
            Record::Changed(it) => {
                let fact = self.changed(at, class, key, value, it);
                (it.id, fact)
            }
            Record::Created { id, iban, .. } => (
                *id,
                self.answered(at, key, value, record, *id, Party::of(iban)),
            ),
            Record::NotCreated { id, .. } | Record::Moved { id } | Record::NotMoved { id, .. } => {
                (*id, self.answered(at, key, value, record, *id, Party(0)))
            }
        };
        if at.topic > 1 && class == dead::OTHER {
            // Somebody's record that the projection has refused: it changes nothing.
            return Ok(());
        }
        self.of_commands.put(bucket_of(id), &fact.pack(Id(id)))
    }

    fn partition_is_right(&self, at: Place, key: &[u8]) -> bool {
        let partitions = self.cut.partitions.get(&at.topic).copied();
        partitions.is_some_and(|count| at.partition == partition_of(key, count))
    }

    fn changed(
        &mut self,
        at: Place,
        class: u8,
        key: &[u8],
        value: &[u8],
        it: &crate::records::Changed<'_>,
    ) -> OfCommand {
        let is_key_right = key == it.iban.as_bytes();
        if class != dead::OTHER {
            let is_in_place = self.partition_is_right(at, key);
            self.tally.check(Name::C7, is_key_right && is_in_place, || {
                let key = String::from_utf8_lossy(key);
                format!("{at}: key {key}, account {}", it.iban)
            });
            self.tally
                .check(Name::A7, crate::iban::is_ours_as_written(it.iban), || {
                    format!("{at}: {} is no account number of ours", it.iban)
                });
        }
        OfCommand::Changed(Changed {
            at,
            account: Party::of(it.iban),
            version: it.version,
            changed_by: it.changed_by,
            balance: it.balance,
            other: Party::of(it.from_to),
            description: digest(it.description.as_bytes()),
            occurred_at_us: it.occurred_at_us,
            value: digest(value),
            is_key_right,
            is_late: self.cut.is_late(at),
            is_projected: self.cut.is_projected(at),
            dead: class,
        })
    }

    fn answered(
        &mut self,
        at: Place,
        key: &[u8],
        value: &[u8],
        record: &Record<'_>,
        id: u128,
        account: Party,
    ) -> OfCommand {
        let mut text = uuid::Uuid::encode_buffer();
        let text = uuid::Uuid::from_u128(id)
            .hyphenated()
            .encode_lower(&mut text);
        let is_key_right = key == text.as_bytes();
        let is_in_place = self.partition_is_right(at, key);
        self.tally.check(Name::C7, is_key_right && is_in_place, || {
            format!("{at}: key {}, command {text}", String::from_utf8_lossy(key))
        });
        if let Record::Created { iban, .. } = record {
            self.tally
                .check(Name::A7, crate::iban::is_ours_as_written(iban), || {
                    format!("{at}: {iban} is no account number of ours")
                });
        }
        OfCommand::Answered(Answered {
            at,
            value: answer_digest(value, record),
            refusal: match record {
                Record::NotCreated { reason, .. } | Record::NotMoved { reason, .. } => {
                    refusal(reason)
                }
                _ => 0,
            },
            account,
            is_key_right,
            is_late: self.cut.is_late(at),
            token: match record {
                Record::Created { token, .. } => digest(token.as_bytes()),
                _ => 0,
            },
        })
    }
}

fn asked(at: Place, class: u8, timestamp_ms: i64, record: &Record<'_>) -> OfCommand {
    let mut asked = Asked {
        at,
        content: content(record),
        amount: 0,
        from: Party(0),
        to: Party(0),
        token: 0,
        description: 0,
        timestamp_ms,
        refusal: 0,
        is_payer_cash: false,
        dead: class,
    };
    if let Record::Move(it) = record {
        asked.amount = it.amount;
        asked.from = party(it.from);
        asked.to = party(it.to);
        asked.token = digest(it.token.as_bytes());
        asked.description = digest(it.description.as_bytes());
        asked.refusal = refused_by_form(it).map_or(0, refusal);
        asked.is_payer_cash = it.from == "cash";
    }
    OfCommand::Asked(asked)
}

/// Ids are random, or begin with a time: the last bytes differ.
pub(crate) fn bucket_of(id: u128) -> u64 {
    let [.., one, two, three, four, five, six, seven, eight] = id.to_be_bytes();
    u64::from_be_bytes([one, two, three, four, five, six, seven, eight])
}

/// The topic whose records are changes; the longest, so read beside the others.
pub(crate) const LANES: [&[u8]; 2] = [&[CHANGES], &[0, 1, 2, 3]];
