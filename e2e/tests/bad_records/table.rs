//! The named cases: what a stranger may write into a topic, and what has to come of it.
//!
//! Where the bank decides otherwise than the list these cases come from:
//! - A value above 64 KiB is `TOO_LARGE` before anything in it is read, so that a text of a
//!   megabyte is a dead letter, not a rejection.
//! - A key is for order only; the key of a command or an answer is never wrong.
//! - A change that leaves a hole is stored like any other, and the account stands at the
//!   newest change; the hole is the auditor's to find, and heals when the change comes.
//! - The gateway knows the commands of its own customers. An answer to any other command is
//!   nothing to it, and a second answer to one of its own changes nothing: whether answers
//!   contradict each other is the auditor's to judge. Neither is a dead letter.
//! - Batches are kept uncompressed by the broker (`compression.type` of each topic), so that
//!   it refuses what would be too large when it is unpacked, and no service ever unpacks it.
//! - A timestamp more than an hour ahead is refused by the broker.

use uuid::Uuid;

use crate::bytes::{Datum, cut_everywhere, turned};
use crate::world::{
    ACCOUNT_ANSWERS, Bad, CANARY, CHANGES, HEARTBEAT, OPENINGS, TRANSFER_ANSWERS, TRANSFERS, World,
};

/// How many cases there are: none may be dropped silently.
pub(crate) const CASES: usize = 112;
/// Bytes of a text that no limit allows.
const LARGE_BYTES: usize = 1_000_000;
/// The largest value that still fits into a topic (a megabyte with the batch around it).
const LARGEST_BYTES: usize = 1_048_450;
/// What a bomb unpacks to.
const BOMB_BYTES: usize = 20_000_000;
/// Records of the flood.
const FLOOD_RECORDS: usize = 10_000;
/// Records of the flood with schemas nobody has: each may cost a question to the registry.
const UNKNOWN_FLOOD_RECORDS: u32 = 2_000;

/// What has to come of the records of a case.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Each is a dead letter with this reason.
    Dead(&'static str),
    /// The command is answered with these words, or `confirmed`.
    Told(Uuid, &'static str),
    /// The last one is no new command: the first answer comes again, with the same bytes.
    Again(Uuid),
    /// One of the two is a dead letter, and the other's answer comes again.
    Conflict(Uuid),
    /// Each is either understood or a dead letter.
    Each,
    /// Nobody minds.
    Passed,
    /// Nobody hears of this command.
    Unheard(Uuid),
    /// The read model has every one, and the account stands so: IBAN, version, cents.
    Stands(String, i64, i64),
    /// The last one contradicts the one before: a dead letter, and the account stands so.
    Corrupt(String, i64, i64),
    /// The broker does not take it.
    Refused,
}

/// How the records come into the topic.
#[derive(Clone, Debug)]
pub(crate) enum How {
    /// Sent as they are.
    Sent(Vec<Bad>),
    /// Sent in a batch compressed with zstd, which only the other client can: the size of a
    /// payment's description.
    Zstd(Bad),
    /// Sent in a transaction that is given up.
    Aborted(Bad),
    /// Sent in a transaction that is committed.
    Committed(Bad),
    /// Sent while the topic of dead letters takes nothing.
    Unwritable(Vec<Bad>),
}

pub(crate) struct Case {
    /// Its row in the list.
    pub(crate) row: &'static str,
    pub(crate) name: &'static str,
    pub(crate) how: How,
    pub(crate) answer: Answer,
}

struct Table<'a> {
    world: &'a World,
    row: &'static str,
    cases: Vec<Case>,
}

pub(crate) fn table(world: &World) -> Vec<Case> {
    let mut table = Table {
        world,
        row: "",
        cases: Vec::new(),
    };
    table.frames();
    table.cut_and_turned();
    table.lengths();
    table.texts();
    table.ids();
    table.values();
    table.keys_headers_and_times();
    table.schemas();
    table.changes();
    table.answers();
    table.batches();
    table.floods();
    table.cases
}

impl Table<'_> {
    fn row(&mut self, row: &'static str) {
        self.row = row;
    }

    fn how(&mut self, name: &'static str, how: How, answer: Answer) {
        self.cases.push(Case {
            row: self.row,
            name,
            how,
            answer,
        });
    }

    fn send(&mut self, name: &'static str, records: Vec<Bad>, answer: Answer) {
        self.how(name, How::Sent(records), answer);
    }

    fn dead(&mut self, name: &'static str, record: Bad, reason: &'static str) {
        self.send(name, vec![record], Answer::Dead(reason));
    }

    fn told(&mut self, name: &'static str, sent: (Uuid, Bad), words: &'static str) {
        self.send(name, vec![sent.1], Answer::Told(sent.0, words));
    }

    fn frames(&mut self) {
        let world = self.world;
        let framed = |id: u32| world.transfer().datum().framed(id);
        let good = || framed(world.schema("transfer"));
        let magic = |magic: u8| {
            let mut value = good();
            value[0] = magic;
            Bad::to(TRANSFERS, value)
        };
        self.row("frames");
        self.dead(
            "a command without a value",
            Bad::to(TRANSFERS, None),
            "FRAMING",
        );
        self.dead(
            "a command of 0 bytes",
            Bad::to(TRANSFERS, Vec::new()),
            "FRAMING",
        );
        let short = (1..5).map(|length| Bad::to(TRANSFERS, good()[..length].to_vec()));
        self.send(
            "commands of 1 to 4 bytes",
            short.collect(),
            Answer::Dead("FRAMING"),
        );
        self.dead("a first byte of 1", magic(1), "FRAMING");
        self.dead("a first byte of 255", magic(255), "FRAMING");
        for (name, id) in [
            ("schema id 0", 0),
            ("schema id -1", u32::MAX),
            ("schema id 2^31-1", i32::MAX.cast_unsigned()),
            ("a schema id nobody registered", 77_777),
        ] {
            self.dead(name, Bad::to(TRANSFERS, framed(id)), "UNKNOWN_SCHEMA");
        }
        let other =
            |topic, datum: Datum, schema| Bad::to(topic, datum.framed(world.schema(schema)));
        let moved = || Datum::default().raw(Uuid::new_v4().as_bytes());
        for (name, record) in [
            (
                "a heartbeat among commands",
                other(TRANSFERS, Datum::default().long(1), "heartbeat"),
            ),
            (
                "a payment among openings",
                other(OPENINGS, world.transfer().datum(), "transfer"),
            ),
            (
                "a command among changes",
                other(CHANGES, world.transfer().datum(), "transfer"),
            ),
            (
                "a transfer's answer among accounts'",
                other(ACCOUNT_ANSWERS, moved(), "moved"),
            ),
            (
                "a change among answers",
                other(TRANSFER_ANSWERS, world.change().datum(), "change"),
            ),
        ] {
            self.dead(name, record, "WRONG_TYPE");
        }
        for (name, schema) in [
            ("the id of a JSON schema", "json"),
            ("the id of a Protobuf schema", "protobuf"),
        ] {
            let record = other(TRANSFERS, world.transfer().datum(), schema);
            self.dead(name, record, "UNKNOWN_SCHEMA");
        }
        for (name, topic) in [
            ("an opening without a value", OPENINGS),
            ("an account's answer without a value", ACCOUNT_ANSWERS),
            ("a transfer's answer without a value", TRANSFER_ANSWERS),
            ("a change without a value", CHANGES),
            ("a heartbeat without a value", HEARTBEAT),
        ] {
            self.dead(name, Bad::to(topic, None), "FRAMING");
        }
    }

    fn cut_and_turned(&mut self) {
        let world = self.world;
        let id = || *Uuid::new_v4().as_bytes();
        let transfer = || world.transfer().datum().framed(world.schema("transfer"));
        let opening = || world.opening(Uuid::new_v4());
        let refused = || {
            let datum = Datum::default().raw(&id()).text("insufficient funds");
            datum.framed(world.schema("not moved"))
        };
        let opened = || {
            let datum = Datum::default().raw(&id()).text(&world.unused_iban());
            datum.text("a token").long(1).framed(world.schema("opened"))
        };
        let beat = || {
            Datum::default()
                .long(1_000_000)
                .framed(world.schema("heartbeat"))
        };
        let change = || world.change().datum().framed(world.schema("change"));
        self.row("cut and turned");
        for (name, topic, value) in [
            ("a payment cut at every byte", TRANSFERS, transfer()),
            ("an opening cut at every byte", OPENINGS, opening()),
            (
                "a transfer's answer cut at every byte",
                TRANSFER_ANSWERS,
                refused(),
            ),
            (
                "an account's answer cut at every byte",
                ACCOUNT_ANSWERS,
                opened(),
            ),
            ("a change cut at every byte", CHANGES, change()),
            ("a heartbeat cut at every byte", HEARTBEAT, beat()),
        ] {
            let cut = cut_everywhere(&value).map(|value| Bad::to(topic, value));
            self.send(name, cut.collect(), Answer::Dead("MALFORMED"));
        }
        let longer = |mut value: Vec<u8>, bytes: usize| {
            value.resize(value.len() + bytes, 0);
            value
        };
        self.dead(
            "a payment and one byte",
            Bad::to(TRANSFERS, longer(transfer(), 1)),
            "TRAILING_BYTES",
        );
        self.dead(
            "a change and one byte",
            Bad::to(CHANGES, longer(change(), 1)),
            "TRAILING_BYTES",
        );
        self.dead(
            "a payment and a megabyte",
            Bad::to(TRANSFERS, longer(transfer(), LARGE_BYTES)),
            "TOO_LARGE",
        );
        let mut largest = transfer();
        largest.resize(LARGEST_BYTES, 0);
        self.dead(
            "as much as a topic takes",
            Bad::to(TRANSFERS, largest.clone()),
            "TOO_LARGE",
        );
        self.dead(
            "as much as a topic takes, in changes",
            Bad::to(CHANGES, largest),
            "TOO_LARGE",
        );
        let bits = transfer().len() * 8;
        let flips = (0..bits).map(|bit| Bad::to(TRANSFERS, turned(transfer(), bit)));
        self.send(
            "each bit of a payment turned",
            flips.collect(),
            Answer::Each,
        );
        let bits = opening().len() * 8;
        let flips = (0..bits).map(|bit| Bad::to(OPENINGS, turned(opening(), bit)));
        self.send(
            "each bit of an opening turned",
            flips.collect(),
            Answer::Each,
        );
        let bits = change().len() * 8;
        let flips = (0..bits).map(|bit| {
            let change = world.change();
            let record = world.change_record(&change);
            let value = record.value.clone().map(|value| turned(value, bit));
            Bad { value, ..record }
        });
        self.send("each bit of a change turned", flips.collect(), Answer::Each);
    }

    fn lengths(&mut self) {
        let world = self.world;
        let schema = world.schema("transfer");
        let transfer = world.transfer();
        let head = || Datum::default().raw(Uuid::new_v4().as_bytes());
        let to_transfers = |datum: Datum| Bad::to(TRANSFERS, datum.framed(schema));
        self.row("lengths");
        let eleven = || Datum::default().raw(&[0xff; 10]).raw(&[0x01]);
        let tail = Datum::default()
            .text(&transfer.from)
            .text("Shop")
            .text("x")
            .0;
        let long = head().text("t").raw(&eleven().0).raw(&tail);
        self.dead("an amount of 11 bytes", to_transfers(long), "MALFORMED");
        for (name, length) in [
            ("a text of a negative length", -1),
            ("a text of 2^62 bytes", 1 << 62),
            ("a text one byte longer than the rest", 6),
        ] {
            let datum = transfer.until_amount().long(length).raw(b"short");
            self.dead(name, to_transfers(datum), "MALFORMED");
        }
        let to_changes = |datum: Datum| Bad::to(CHANGES, datum.framed(world.schema("change")));
        let iban = || Datum::default().text(&world.unused_iban());
        for (name, datum) in [
            ("a balance of 11 bytes", iban().raw(&eleven().0).long(1)),
            (
                "a union without such a branch",
                world.change().of_2019().long(1).long(2).long(0),
            ),
        ] {
            self.dead(name, to_changes(datum), "MALFORMED");
        }
        let reason = head().long(1 << 62).framed(world.schema("not moved"));
        self.dead(
            "a reason of 2^62 bytes",
            Bad::to(TRANSFER_ANSWERS, reason),
            "MALFORMED",
        );
        let robot = head().long(2).framed(world.schema("opening"));
        self.dead(
            "an opening of no known kind",
            Bad::to(OPENINGS, robot),
            "MALFORMED",
        );
        let beat = eleven().framed(world.schema("heartbeat"));
        self.dead("a beat of 11 bytes", Bad::to(HEARTBEAT, beat), "MALFORMED");
    }

    fn texts(&mut self) {
        let world = self.world;
        let id = || Datum::default().raw(Uuid::new_v4().as_bytes());
        let transfer = world.transfer();
        let schema = world.schema("transfer");
        self.row("texts");
        let token = id()
            .counted(b"\xff\xfe")
            .long(1)
            .text(&transfer.from)
            .text("Shop")
            .text("");
        self.dead(
            "a token that is no text",
            Bad::to(TRANSFERS, token.framed(schema)),
            "MALFORMED",
        );
        let description = transfer
            .until_amount()
            .text(&transfer.from)
            .text("Shop")
            .counted(b"\xc3");
        self.dead(
            "a description that is no text",
            Bad::to(TRANSFERS, description.framed(schema)),
            "MALFORMED",
        );
        let nul = "a\0b".to_owned();
        let sent = world.transfer_with(|it| it.description.clone_from(&nul));
        self.told("NUL in a description", sent, "description is invalid");
        let sent = world.transfer_with(|it| it.to.clone_from(&nul));
        self.told("NUL in a payee", sent, "to is invalid");
        let sent = world.transfer_with(|it| it.from.clone_from(&nul));
        self.told("NUL in a payer", sent, "from is invalid");
        let (_, sent) = world.transfer_with(|it| it.description = "x".repeat(LARGE_BYTES));
        self.dead("a description of a megabyte", sent, "TOO_LARGE");
        let sent = world.transfer_with(|it| it.description = "x".repeat(60 * 1024));
        self.told("a description of 60 KiB", sent, "description is invalid");
        let mut change = world.change();
        change.description.clone_from(&nul);
        self.dead(
            "NUL in a change",
            world.change_record(&change),
            "INVALID_TEXT",
        );
        let reason = id().text(&nul).framed(world.schema("not moved"));
        self.dead(
            "NUL in a reason",
            Bad::to(TRANSFER_ANSWERS, reason),
            "INVALID_TEXT",
        );
    }

    fn ids(&mut self) {
        let world = self.world;
        self.row("ids");
        let (_, zero) = world.transfer_with(|it| it.id = Uuid::nil());
        self.dead("a payment with the id zero", zero, "NIL_COMMAND_ID");
        let ones = world.transfer_with(|it| it.id = Uuid::max());
        self.told("an id of ones", ones, "confirmed");
        let (id, first) = world.transfer_with(|_| {});
        let (_, second) = world.transfer_with(|it| {
            it.id = id;
            it.amount_cents = 2;
        });
        self.send(
            "another payment's id",
            vec![first, second],
            Answer::Conflict(id),
        );
        let (id, first) = world.transfer_with(|_| {});
        self.send(
            "the same payment twice",
            vec![first.clone(), first],
            Answer::Again(id),
        );
        let (id, first) = world.transfer_with(|_| {});
        // Another topic: either of the two may be decided first, and the other one is no command.
        self.send(
            "a payment's id once more, for an account",
            vec![first, Bad::to(OPENINGS, world.opening(id))],
            Answer::Conflict(id),
        );
    }

    fn values(&mut self) {
        let world = self.world;
        self.row("values");
        for (name, cents) in [
            ("a negative amount", -1),
            ("an amount of nothing", 0),
            ("the largest amount there is", i64::MAX),
        ] {
            let sent = world.transfer_with(|it| it.amount_cents = cents);
            self.told(name, sent, "amount is invalid");
        }
        let unknown = world.unused_iban();
        for (name, from, words) in [
            ("garbage for a payer", "garbage", "from is invalid"),
            (
                "a payer at another bank",
                "DE89370400440532013000",
                "from is invalid",
            ),
            ("a payer nobody opened", unknown.as_str(), "invalid token"),
        ] {
            let sent = world.transfer_with(|it| it.from = from.to_owned());
            self.told(name, sent, words);
        }
        for (name, to, words) in [
            (
                "a payee with wrong check digits",
                "NL67OPEN0000000000",
                "to is invalid",
            ),
            (
                "a payee with impossible check digits",
                "NL99OPEN0000000085",
                "to is invalid",
            ),
            (
                "a payee nobody opened",
                unknown.as_str(),
                "to is not known at this bank",
            ),
            (
                "a payee who pays",
                world.iban.as_str(),
                "from and to can't be same for transfer",
            ),
        ] {
            let sent = world.transfer_with(|it| it.to = to.to_owned());
            self.told(name, sent, words);
        }
        let sent = world.transfer_with(|it| it.description = "x".repeat(141));
        self.told(
            "a description of 141 characters",
            sent,
            "description is invalid",
        );
        let sent = world.transfer_with(|it| it.token = CANARY.to_owned());
        self.told("a token that is not the payer's", sent, "invalid token");
    }

    fn keys_headers_and_times(&mut self) {
        let world = self.world;
        self.row("keys");
        let keyed = |key: Option<Vec<u8>>| {
            let (id, record) = world.transfer_with(|_| {});
            (id, record.with_key(key))
        };
        self.told("a command without a key", keyed(None), "confirmed");
        self.told(
            "a command with an empty key",
            keyed(Some(Vec::new())),
            "confirmed",
        );
        self.told(
            "a key that is no text",
            keyed(Some(vec![0xff, 0])),
            "confirmed",
        );
        self.told(
            "somebody else's key",
            keyed(Some(b"NL66OPEN0000000000".to_vec())),
            "confirmed",
        );
        let change = world.change();
        let other = world.change_record(&change).with_key(b"another".to_vec());
        self.dead("a change under another key", other, "KEY_MISMATCH");
        let none = world.change_record(&change).with_key(None);
        self.dead("a change without a key", none, "KEY_MISMATCH");

        self.row("headers");
        let with = |headers: Vec<(String, Vec<u8>)>| {
            let (id, record) = world.transfer_with(|_| {});
            (id, record.with_headers(headers))
        };
        let header = |value: &[u8]| ("traceparent".to_owned(), value.to_vec());
        self.told(
            "a header twice",
            with(vec![header(b"1"), header(b"2")]),
            "confirmed",
        );
        let many = (0..1_000).map(|number| (format!("header-{number}"), vec![1]));
        self.told("a thousand headers", with(many.collect()), "confirmed");
        self.told(
            "a header of half a megabyte",
            with(vec![header(&vec![b'x'; 500_000])]),
            "confirmed",
        );
        self.told(
            "a header that is no text",
            with(vec![header(b"\xff\xfe\0")]),
            "confirmed",
        );

        self.row("times");
        let (id, record) = world.transfer_with(|_| {});
        self.told("no timestamp", (id, record.at(-1)), "confirmed");
        let (id, record) = world.transfer_with(|_| {});
        self.told("a timestamp of 1970", (id, record.at(1)), "confirmed");
        let (_, record) = world.transfer_with(|_| {});
        let year_292_million = record.at(i64::MAX / 1_000);
        self.send(
            "a timestamp of the year 292 million",
            vec![year_292_million],
            Answer::Refused,
        );
    }

    fn schemas(&mut self) {
        let world = self.world;
        let transfer = |schema: &str, datum: fn(&crate::bytes::Transfer) -> Datum| {
            let transfer = world.transfer();
            let value = datum(&transfer).framed(world.schema(schema));
            (transfer.id, Bad::to(TRANSFERS, value))
        };
        self.row("other schemas");
        let change = world.change();
        let value = change.of_2019().framed(world.schema("change of 2019"));
        let record = Bad::to(CHANGES, value).with_key(change.iban.clone().into_bytes());
        let stands = Answer::Stands(change.iban, 1, 100);
        self.send("an older schema", vec![record], stands);
        let newer = transfer("newer", |it| it.datum().text("phone"));
        self.told("a newer schema", newer, "confirmed");
        let reordered = transfer("reordered", |it| {
            let texts = Datum::default()
                .text(&it.description)
                .text(&it.to)
                .text(&it.from);
            texts
                .long(it.amount_cents)
                .text(&it.token)
                .raw(it.id.as_bytes())
        });
        self.told("fields in another order", reordered, "confirmed");
        self.told(
            "a schema with aliases",
            transfer("aliased", |it| it.datum()),
            "confirmed",
        );
        self.told(
            "an amount of 32 bits",
            transfer("promoted", |it| it.datum()),
            "confirmed",
        );

        self.row("incompatible schemas");
        let incompatible = transfer("incompatible", |it| {
            let head = Datum::default().raw(it.id.as_bytes()).text(CANARY);
            head.text(CANARY).text(&it.from).text(&it.to).text("")
        });
        self.dead("an amount that is a text", incompatible.1, "MALFORMED");
        let shorter = transfer("shorter", |it| {
            Datum::default()
                .raw(it.id.as_bytes())
                .text(CANARY)
                .long(1)
                .text(&it.from)
                .text(&it.to)
        });
        self.dead("a field less", shorter.1, "MALFORMED");
        let elsewhere = transfer("elsewhere", |it| it.datum());
        self.dead("a record of another namespace", elsewhere.1, "WRONG_TYPE");
        let robot = Datum::default().raw(Uuid::new_v4().as_bytes()).long(2);
        let robot = Bad::to(OPENINGS, robot.framed(world.schema("robot")));
        self.dead("a kind of account we do not know", robot, "MALFORMED");
    }

    fn changes(&mut self) {
        let world = self.world;
        self.row("changes");
        for (name, version) in [("version 0", 0), ("a negative version", -1)] {
            let mut change = world.change();
            change.version = version;
            self.dead(name, world.change_record(&change), "INVALID_VERSION");
        }
        let change = world.change();
        let record = world.change_record(&change);
        let stands = Answer::Stands(change.iban, 1, 100);
        self.send(
            "the same change twice",
            vec![record.clone(), record],
            stands,
        );
        let change = world.change();
        let mut other = change.clone();
        other.new_balance_cents = 101;
        let records = [&change, &other].map(|it| world.change_record(it));
        self.send(
            "the same version with other content",
            records.into(),
            Answer::Corrupt(change.iban, 1, 100),
        );
        let change = world.change();
        let at = |version: i64| {
            let mut at = change.clone();
            at.version = version;
            at.new_balance_cents = version * 100;
            world.change_record(&at)
        };
        let stands = Answer::Stands(change.iban.clone(), 3, 300);
        self.send(
            "a hole that is filled later",
            vec![at(1), at(3), at(2)],
            stands,
        );
        let mut far = world.change();
        far.version = 1 << 62;
        let stands = Answer::Stands(far.iban.clone(), far.version, 100);
        self.send("version 2^62", vec![world.change_record(&far)], stands);
        let foreign = crate::bytes::Change {
            iban: "DE89370400440532013000".to_owned(),
            ..world.change()
        };
        self.dead(
            "an account of another bank",
            world.change_record(&foreign),
            "INVALID_IBAN",
        );
        let mut off = world.change();
        off.new_balance_cents = 5;
        let stands = Answer::Stands(off.iban.clone(), 1, 5);
        self.send(
            "a balance that is not the sum",
            vec![world.change_record(&off)],
            stands,
        );
    }

    fn answers(&mut self) {
        let world = self.world;
        self.row("answers");
        let moved = |id: Uuid| {
            let value = Datum::default()
                .raw(id.as_bytes())
                .framed(world.schema("moved"));
            Bad::to(TRANSFER_ANSWERS, value)
        };
        let refused = |id: Uuid| {
            let datum = Datum::default().raw(id.as_bytes()).text("the moon is full");
            Bad::to(TRANSFER_ANSWERS, datum.framed(world.schema("not moved")))
        };
        let id = Uuid::new_v4();
        self.send("an answer to no command", vec![moved(id)], Answer::Passed);
        let id = Uuid::new_v4();
        self.send(
            "two answers to one command",
            vec![moved(id), refused(id)],
            Answer::Passed,
        );
    }

    fn batches(&mut self) {
        let world = self.world;
        self.row("compressed batches");
        let bomb = || {
            world
                .transfer_with(|it| it.description = "x".repeat(BOMB_BYTES))
                .1
        };
        for (name, compression) in [
            ("a bomb in gzip", "gzip"),
            ("a bomb in snappy", "snappy"),
            ("a bomb in lz4", "lz4"),
        ] {
            self.send(name, vec![bomb().compressed(compression)], Answer::Refused);
        }
        self.how("a bomb in zstd", How::Zstd(bomb()), Answer::Refused);
        let (id, record) = world.transfer_with(|_| {});
        self.how(
            "a payment in zstd",
            How::Zstd(record),
            Answer::Told(id, "confirmed"),
        );

        self.row("transactions");
        let (id, record) = world.transfer_with(|_| {});
        self.how(
            "a payment that is given up",
            How::Aborted(record),
            Answer::Unheard(id),
        );
        let (id, record) = world.transfer_with(|_| {});
        self.how(
            "a payment in a transaction",
            How::Committed(record),
            Answer::Told(id, "confirmed"),
        );
    }

    fn floods(&mut self) {
        let world = self.world;
        self.row("floods");
        let poison = vec![Bad::to(TRANSFERS, b"\x07poison".to_vec()); FLOOD_RECORDS];
        self.send("ten thousand bad records", poison, Answer::Dead("FRAMING"));
        let unknown = (0..UNKNOWN_FLOOD_RECORDS).map(|number| {
            let datum = world.transfer().datum();
            Bad::to(TRANSFERS, datum.framed(1_000_000 + number))
        });
        self.send(
            "two thousand schemas nobody has",
            unknown.collect(),
            Answer::Dead("UNKNOWN_SCHEMA"),
        );

        self.row("dead letters unwritable");
        let mut poison = vec![Bad::to(TRANSFERS, b"\x07kept".to_vec()); 5];
        // The gateway's reader has one too.
        poison.insert(0, Bad::to(CHANGES, b"\x07kept".to_vec()));
        self.how(
            "no room for dead letters",
            How::Unwritable(poison),
            Answer::Dead("FRAMING"),
        );
    }
}
