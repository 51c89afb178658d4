//! The exact bytes of every record, and that fastavro, which shares no code with us,
//! reads and writes the same ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures_util::FutureExt as _;
use topology::records::{
    AccountCreationConfirmed, AccountCreationFailed, AccountType, BalanceChanged, ChangeIdentity,
    ConfirmAccountCreation, ConfirmMoneyTransfer, Heartbeat, MoneyTransferConfirmed,
    MoneyTransferFailed, RecordKind,
};
use topology::{Cents, Codec, CommandId, DecodeError, Record, Token, Topic, schemas};

/// Says which Python has fastavro; `cargo bank test` sets it.
const PYTHON_VARIABLE: &str = "BANK_TEST_PYTHON";
/// Id of the 2019 form of `BalanceChanged` in these tests.
const BALANCE_CHANGED_2019: u32 = 90;
const ID: [u8; 16] = [
    0x01, 0x93, 0x4f, 0x2e, 0x7a, 0x10, 0x7f, 0xff, 0x80, 0x00, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc,
];

/// One record, as it is on the wire.
struct Golden {
    topic: Topic,
    record: Record,
    /// The newest of its kind has the kind's place plus one as id; older ones have their own.
    schema_id: u32,
    schema: &'static str,
    /// Header and datum, in hex; spaces are for people.
    bytes: &'static str,
    /// The same fields, for fastavro.
    fields: serde_json::Value,
}

fn id_of(kind: RecordKind) -> u32 {
    let place = RecordKind::ALL.iter().position(|it| *it == kind);
    u32::try_from(place.unwrap()).unwrap() + 1
}

fn codec() -> Codec {
    let ids: Vec<_> = goldens()
        .iter()
        .map(|golden| {
            let kind = golden.record.kind();
            (golden.topic, kind, id_of(kind))
        })
        .collect();
    let text = schemas::texts(RecordKind::BalanceChanged)[0];
    let schema = apache_avro::Schema::parse_str(text).unwrap();
    Codec::with_ids(&ids).knowing(BALANCE_CHANGED_2019, RecordKind::BalanceChanged, schema)
}

fn golden(topic: Topic, record: Record, bytes: &'static str, fields: serde_json::Value) -> Golden {
    let kind = record.kind();
    Golden {
        topic,
        schema_id: id_of(kind),
        schema: schemas::texts(kind).last().unwrap(),
        record,
        bytes,
        fields,
    }
}

fn changed(change: Option<ChangeIdentity>) -> Record {
    Record::BalanceChanged(BalanceChanged {
        iban: "NL66OPEN0000000000".to_owned(),
        new_balance: Cents(123_456),
        changed_by: Cents(-1_234),
        from_to: "cash".to_owned(),
        description: "€ 12,34".to_owned(),
        change,
    })
}

fn goldens() -> Vec<Golden> {
    let id = CommandId::from_bytes(ID);
    let fixed = serde_json::json!({ "fixed": hex(&ID) });
    let change = Some(ChangeIdentity {
        version: 3,
        command_id: id,
        occurred_at_us: 1_763_726_400_000_001,
    });
    let mut goldens = vec![
        golden(
            Topic::Heartbeat,
            Record::Heartbeat(Heartbeat { beat: 200 }),
            "00 00000001 9003",
            serde_json::json!({ "beat": 200 }),
        ),
        golden(
            Topic::ConfirmAccountCreation,
            Record::ConfirmAccountCreation(ConfirmAccountCreation {
                id,
                account_type: AccountType::Manual,
            }),
            "00 00000002 01934f2e7a107fff8000123456789abc 02",
            serde_json::json!({ "id": fixed, "a_type": "MANUAL" }),
        ),
        golden(
            Topic::AccountCreationFeedback,
            Record::AccountCreationConfirmed(AccountCreationConfirmed {
                id,
                iban: "NL66OPEN0000000000".to_owned(),
                token: Token::new("s3cret".to_owned()),
                account_type: AccountType::Auto,
            }),
            "00 00000003 01934f2e7a107fff8000123456789abc \
             244e4c36364f50454e30303030303030303030 0c733363726574 00",
            serde_json::json!({
                "id": fixed, "iban": "NL66OPEN0000000000", "token": "s3cret", "a_type": "AUTO"
            }),
        ),
        golden(
            Topic::AccountCreationFeedback,
            Record::AccountCreationFailed(AccountCreationFailed {
                id,
                reason: "try again".to_owned(),
            }),
            "00 00000004 01934f2e7a107fff8000123456789abc 1274727920616761696e",
            serde_json::json!({ "id": fixed, "reason": "try again" }),
        ),
        golden(
            Topic::ConfirmMoneyTransfer,
            Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer {
                id,
                token: Token::new("cash".to_owned()),
                amount: Cents(1_000_000_000),
                from: "cash".to_owned(),
                to: "NL66OPEN0000000000".to_owned(),
                description: String::new(),
            }),
            "00 00000005 01934f2e7a107fff8000123456789abc 0863617368 80a8d6b907 \
             0863617368 244e4c36364f50454e30303030303030303030 00",
            serde_json::json!({
                "id": fixed, "token": "cash", "amount": 1_000_000_000, "from": "cash",
                "to": "NL66OPEN0000000000", "description": ""
            }),
        ),
        golden(
            Topic::MoneyTransferFeedback,
            Record::MoneyTransferConfirmed(MoneyTransferConfirmed { id }),
            "00 00000006 01934f2e7a107fff8000123456789abc",
            serde_json::json!({ "id": fixed }),
        ),
        golden(
            Topic::MoneyTransferFeedback,
            Record::MoneyTransferFailed(MoneyTransferFailed {
                id,
                reason: "insufficient funds".to_owned(),
            }),
            "00 00000007 01934f2e7a107fff8000123456789abc \
             24696e73756666696369656e742066756e6473",
            serde_json::json!({ "id": fixed, "reason": "insufficient funds" }),
        ),
        golden(
            Topic::BalanceChanged,
            changed(change),
            "00 00000008 244e4c36364f50454e30303030303030303030 80890f a313 \
             0863617368 12e282ac2031322c3334 06 0201934f2e7a107fff8000123456789abc \
             82c0ecd8b186a206",
            serde_json::json!({
                "iban": "NL66OPEN0000000000", "new_balance": 123_456, "changed_by": -1_234,
                "from_to": "cash", "description": "€ 12,34", "version": 3, "command_id": fixed,
                "occurred_at": { "micros": 1_763_726_400_000_001_i64 }
            }),
        ),
        golden(
            Topic::BalanceChanged,
            changed(None),
            "00 00000008 244e4c36364f50454e30303030303030303030 80890f a313 \
             0863617368 12e282ac2031322c3334 00 00 00",
            serde_json::json!({
                "iban": "NL66OPEN0000000000", "new_balance": 123_456, "changed_by": -1_234,
                "from_to": "cash", "description": "€ 12,34", "version": 0, "command_id": null,
                "occurred_at": { "micros": 0 }
            }),
        ),
    ];
    goldens.push(Golden {
        topic: Topic::BalanceChanged,
        record: changed(None),
        schema_id: BALANCE_CHANGED_2019,
        schema: schemas::texts(RecordKind::BalanceChanged)[0],
        bytes: "00 0000005a 244e4c36364f50454e30303030303030303030 80890f a313 \
             0863617368 12e282ac2031322c3334",
        fields: serde_json::json!({
            "iban": "NL66OPEN0000000000", "new_balance": 123_456, "changed_by": -1_234,
            "from_to": "cash", "description": "€ 12,34"
        }),
    });
    goldens
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    assert!(digits.len().is_multiple_of(2), "{text}");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn decode(codec: &Codec, topic: Topic, bytes: &[u8]) -> Result<Record, DecodeError> {
    codec
        .decode(topic, Some(bytes))
        .now_or_never()
        .expect("all these ids are known")
}

#[test]
fn each_kind_of_record_has_golden_bytes() {
    for kind in RecordKind::ALL {
        let mut found = goldens().into_iter();
        assert!(found.any(|golden| golden.record.kind() == kind), "{kind:?}");
    }
}

#[test]
fn golden_bytes_are_read_as_their_record() {
    let codec = codec();
    for golden in goldens() {
        let bytes = unhex(golden.bytes);
        assert_eq!(bytes[0], 0);
        assert_eq!(bytes[1..5], golden.schema_id.to_be_bytes());
        let read = decode(&codec, golden.topic, &bytes).unwrap();
        assert_eq!(read, golden.record);
    }
}

#[test]
fn each_record_is_written_as_its_golden_bytes() {
    let codec = codec();
    for golden in goldens() {
        // The 2019 form is only read.
        if golden.schema_id == BALANCE_CHANGED_2019 {
            continue;
        }
        let written = codec.encode(golden.topic, &golden.record).unwrap();
        assert_eq!(
            hex(&written),
            hex(&unhex(golden.bytes)),
            "{:?}",
            golden.record
        );
    }
}

#[test]
fn the_2019_form_of_a_change_is_read_and_has_no_identity() {
    let codec = codec();
    let goldens = goldens();
    let old = goldens.last().unwrap();
    let read = decode(&codec, old.topic, &unhex(old.bytes)).unwrap();
    let Record::BalanceChanged(change) = read else {
        panic!("a change of a balance");
    };
    assert_eq!(change.change, None);
    assert_eq!(change.new_balance, Cents(123_456));
}

/// A Python with fastavro; a test that cannot find one fails and says how to get it.
fn python() -> PathBuf {
    if let Some(python) = std::env::var_os(PYTHON_VARIABLE) {
        return python.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let candidates = [root.join("target/python/bin/python"), "python3".into()];
    let has_fastavro = |python: &&PathBuf| {
        Command::new(python)
            .args(["-c", "import fastavro"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    candidates
        .iter()
        .find(has_fastavro)
        .cloned()
        .unwrap_or_else(|| {
            panic!(
                "this test needs Python with fastavro: run it by `cargo bank test`, or once: \
             python3 -m venv target/python && target/python/bin/pip install fastavro==1.12.1; \
             or name another one in {PYTHON_VARIABLE}"
            )
        })
}

#[test]
fn fastavro_reads_and_writes_the_same_bytes() {
    let rows: Vec<_> = goldens()
        .iter()
        .map(|golden| {
            serde_json::json!({
                "record": format!("{:?} ({})", golden.record.kind(), golden.schema_id),
                "schema": golden.schema,
                "bytes": hex(&unhex(golden.bytes)[5..]),
                "fields": golden.fields,
            })
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.py");
    let mut child = Command::new(python())
        .arg(script)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(serde_json::to_string(&rows).unwrap().as_bytes())
        .unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_record_of_another_topic_or_of_no_known_frame_is_undecodable() {
    let codec = codec();
    let heartbeat = unhex(goldens()[0].bytes);
    let mut wrong_magic = heartbeat.clone();
    wrong_magic[0] = 1;
    for (topic, bytes, expected) in [
        (
            Topic::BalanceChanged,
            Some(heartbeat.as_slice()),
            "WRONG_TYPE",
        ),
        (Topic::DeadLetters, Some(heartbeat.as_slice()), "WRONG_TYPE"),
        (Topic::Heartbeat, Some(wrong_magic.as_slice()), "FRAMING"),
        (Topic::Heartbeat, Some(&[]), "FRAMING"),
        (Topic::Heartbeat, Some(&[0, 0, 0, 0]), "FRAMING"),
        (Topic::Heartbeat, Some(&[0, 0, 0, 0, 1]), "MALFORMED"),
        (Topic::Heartbeat, Some(&[0; 70_000]), "TOO_LARGE"),
        (Topic::Heartbeat, None, "FRAMING"),
    ] {
        let read = codec.decode(topic, bytes).now_or_never().unwrap();
        match read {
            Err(DecodeError::Undecodable { reason, .. }) => assert_eq!(reason, expected),
            other => panic!("{topic:?} {expected}: {other:?}"),
        }
    }
}
