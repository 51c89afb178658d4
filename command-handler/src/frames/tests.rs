//! What is stored comes back, and what is damaged is told.

use super::*;

fn key() -> HandlerKey {
    HandlerKey::new("a key")
}

fn id() -> CommandId {
    CommandId::from_bytes([9; 16])
}

fn written(frames: &mut Frames, topic: Topic, key: &[u8], value: &[u8]) {
    let write = |bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(value);
        Ok::<(), ()>(())
    };
    frames.write(topic, key, write).unwrap();
}

fn one_of_each() -> Frames {
    let token = key().token(id());
    let mut frames = Frames::default();
    let value = format!("iban {token} MANUAL").into_bytes();
    written(&mut frames, Topic::BalanceChanged, b"NL66", b"changed");
    written(&mut frames, Topic::AccountCreationFeedback, b"id", &value);
    frames.blank_out(&token);
    let headers = vec![("reason".to_owned(), b"FRAMING".to_vec())];
    frames.dead_letter(b"", None, headers.clone());
    frames.dead_letter(b"key", Some(b"poison"), headers);
    frames
}

fn at_rest(frames: &Frames, range: Range<usize>) -> Vec<u8> {
    frames.stored(range).pieces().concat()
}

#[test]
fn frames_come_back_as_they_were_and_hold_no_token_at_rest() {
    let frames = one_of_each();
    assert_eq!(frames.iter().nth(1).unwrap().token_at, Some(5));
    let stored = at_rest(&frames, 0..frames.len());
    let token = key().token(id());
    assert!(!String::from_utf8_lossy(&stored).contains(&token));
    let mut loaded = Frames::default();
    loaded.restore(&stored, id(), &key()).unwrap();
    assert_eq!(loaded, frames);
}

/// A database written by the first version must be read for ever.
#[test]
fn the_stored_form_is_this() {
    let mut frames = Frames::default();
    written(&mut frames, Topic::BalanceChanged, b"key", b"value");
    let form = b"\x01\x02\0\0\0\x03key\0\0\0\x05value\xff\xff\0";
    assert_eq!(at_rest(&frames, 0..1), form);
    frames.dead_letter(b"k", None, vec![("n".to_owned(), b"v".to_vec())]);
    let letter = b"\x01\x03\0\0\0\x01k\xff\xff\xff\xff\xff\xff\x01\0\0\0\x01n\0\0\0\x01v";
    assert_eq!(at_rest(&frames, 1..2), letter);
}

#[test]
fn frames_are_added_once_more_and_behind_others() {
    let frames = one_of_each();
    let mut more = frames.clone();
    more.repeat(1..3);
    more.append(&frames);
    let (some, all) = (frames.range(1..3), frames.iter());
    assert!(more.range(4..6).eq(some));
    assert!(more.range(6..10).eq(all));
    let mut loaded = Frames::default();
    for range in [0..4, 4..6, 6..10] {
        let stored = at_rest(&more, range);
        loaded.restore(&stored, id(), &key()).unwrap();
    }
    assert_eq!(loaded, more);
}

#[test]
fn a_value_that_cannot_be_written_leaves_nothing_behind() {
    let mut frames = one_of_each();
    let failed = frames.write(Topic::BalanceChanged, b"key", |bytes| {
        bytes.push(1);
        Err("no")
    });
    assert_eq!(failed, Err("no"));
    assert_eq!(frames, one_of_each());
    assert_eq!(at_rest(&frames, 0..4), at_rest(&one_of_each(), 0..4));
}

#[test]
fn damaged_frames_are_told_at_every_length() {
    let mut frames = Frames::default();
    written(&mut frames, Topic::BalanceChanged, b"NL66OPEN", &[0; 40]);
    let stored = at_rest(&frames, 0..1);
    let mut loaded = Frames::default();
    for length in (0..stored.len()).filter(|length| *length != 1) {
        let outcome = loaded.restore(&stored[..length], id(), &key());
        assert!(outcome.is_err(), "{length}");
    }
    assert!(loaded.restore(&[2], id(), &key()).is_err(), "another form");
    assert!(loaded.is_empty());
}
