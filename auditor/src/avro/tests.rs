use super::*;

const RICH: &str = r#"{
    "type": "record", "name": "Rich", "namespace": "a.b", "fields": [
    { "name": "id", "type": { "type": "fixed", "name": "Uuid", "size": 16 } },
    { "name": "text", "type": "string" },
    { "name": "number", "type": "long" },
    { "name": "kind", "type": { "type": "enum", "name": "Kind", "symbols": ["ONE", "TWO"] } },
    { "name": "maybe", "type": ["null", "Uuid"], "default": null },
    { "name": "many", "type": { "type": "array", "items": "string" } },
    { "name": "map", "type": { "type": "map", "values": "double" } },
    { "name": "flag", "type": "boolean" }
] }"#;

/// The same record written by another implementation.
fn written(number: i64, text: &str, has_id: bool) -> Vec<u8> {
    use apache_avro::types::Value as Theirs;
    let schema = apache_avro::Schema::parse_str(RICH).unwrap();
    let id = || Theirs::Fixed(16, vec![7; 16]);
    let maybe = if has_id {
        Theirs::Union(1, Box::new(id()))
    } else {
        Theirs::Union(0, Box::new(Theirs::Null))
    };
    let many = vec![
        Theirs::String("a".to_owned()),
        Theirs::String(text.to_owned()),
    ];
    let map = [("key".to_owned(), Theirs::Double(0.5))]
        .into_iter()
        .collect();
    let record = Theirs::Record(vec![
        ("id".to_owned(), id()),
        ("text".to_owned(), Theirs::String(text.to_owned())),
        ("number".to_owned(), Theirs::Long(number)),
        ("kind".to_owned(), Theirs::Enum(1, "TWO".to_owned())),
        ("maybe".to_owned(), maybe),
        ("many".to_owned(), Theirs::Array(many)),
        ("map".to_owned(), Theirs::Map(map)),
        ("flag".to_owned(), Theirs::Boolean(true)),
    ]);
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema)
        .build()
        .unwrap();
    writer.write_value_to_vec(record).unwrap()
}

#[test]
fn given_what_another_implementation_wrote_when_read_then_it_says_the_same() {
    let schema = Schema::parse(RICH).unwrap();
    assert_eq!(schema.name, "a.b.Rich");
    for number in [0, 1, -1, 63, 64, -65, i64::MAX, i64::MIN, 1 << 40] {
        for (text, has_id) in [("", true), ("Zoë", false), (&*"x".repeat(300), true)] {
            let bytes = written(number, text, has_id);
            let mut read = Vec::new();
            schema
                .read(&bytes, |name, value| read.push((name, value)))
                .unwrap();
            let maybe = if has_id {
                Value::Fixed(&[7; 16])
            } else {
                Value::Null
            };
            let expected = [
                ("id", Value::Fixed(&[7; 16])),
                ("text", Value::Text(text)),
                ("number", Value::Number(number)),
                ("kind", Value::Symbol("TWO")),
                ("maybe", maybe),
                ("many", Value::Other),
                ("map", Value::Other),
                ("flag", Value::Other),
            ];
            assert_eq!(read, expected);
        }
    }
}

#[test]
fn given_a_record_cut_anywhere_or_longer_when_read_then_it_is_none() {
    let schema = Schema::parse(RICH).unwrap();
    let bytes = written(1 << 40, "Zoë", true);
    for length in 0..bytes.len() {
        assert!(
            schema.read(&bytes[..length], |_, _| ()).is_err(),
            "{length}"
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(schema.read(&longer, |_, _| ()).is_err());
}

#[test]
fn given_hostile_bytes_when_read_then_they_are_refused() {
    let one = |kind: &str| {
        let text =
            format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{kind}}}]}}"#);
        Schema::parse(&text).unwrap()
    };
    let eleven = [0x80; 11];
    let too_big = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for (kind, bytes) in [
        (r#""long""#, &eleven[..]),
        (r#""long""#, &too_big[..]),
        (r#""string""#, &[0x01]),
        (r#""string""#, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (r#""string""#, &[0x02, 0xff]),
        (r#""boolean""#, &[2]),
        (r#"["null","long"]"#, &[0x04]),
        (r#"{"type":"enum","name":"E","symbols":["A"]}"#, &[0x02]),
        (
            r#"{"type":"array","items":"null"}"#,
            &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0],
        ),
    ] {
        assert!(
            one(kind).read(bytes, |_, _| ()).is_err(),
            "{kind} {bytes:?}"
        );
    }
}

#[test]
fn given_texts_that_are_no_schema_of_a_record_when_parsed_then_they_are_refused() {
    for text in [
        "",
        "{}",
        r#""string""#,
        r#"{"type":"record","name":"R"}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"f","type":"R"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"f","type":7}]}"#,
    ] {
        assert!(Schema::parse(text).is_err(), "{text}");
    }
}
