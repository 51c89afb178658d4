//! What should be there: the tables and schemas of this build, checked before anything
//! is touched.

use std::collections::BTreeSet;

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use topology::records::RecordKind;
use topology::schemas;
use topology::topics::{DEFINITIONS, Topics};

use crate::error::SynchronizerError;
use crate::plan::{Desired, DesiredDatabase, DesiredSubject, DesiredTopic};

/// What this build needs under these topic names.
///
/// # Errors
/// [`SynchronizerError::Contract`] when a schema is malformed, misnamed or cannot live
/// beside its other versions, or when a name stands twice.
pub fn desired(
    topics: &Topics,
    databases: Vec<DesiredDatabase>,
) -> Result<Desired, SynchronizerError> {
    for kind in RecordKind::ALL {
        check_versions(kind.full_name(), schemas::texts(kind))?;
    }
    let mut desired = Desired {
        databases,
        ..Desired::default()
    };
    for definition in &DEFINITIONS {
        desired.topics.push(DesiredTopic {
            name: topics.name(definition.topic),
            partitions: definition.partitions,
            settings: definition
                .settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        });
        for kind in definition.records {
            desired.subjects.push(DesiredSubject {
                name: topics.subject(definition.topic, *kind),
                versions: schemas::texts(*kind)
                    .iter()
                    .map(|text| (*text).to_owned())
                    .collect(),
            });
        }
    }
    check_unique("topic", desired.topics.iter().map(|topic| &topic.name))?;
    check_unique(
        "subject",
        desired.subjects.iter().map(|subject| &subject.name),
    )?;
    for database in &desired.databases {
        let versions = database.migrations.iter().map(|it| &it.version);
        check_unique("migration", versions)?;
    }
    Ok(desired)
}

fn check_unique<'a>(
    what: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), SynchronizerError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(SynchronizerError::Contract(format!(
                "{what} `{name}` stands twice"
            )));
        }
    }
    Ok(())
}

/// Every version parses, has the record's name, and reads what each other one wrote.
fn check_versions(name: &str, texts: &[&str]) -> Result<(), SynchronizerError> {
    let malformed = |version: usize, reason: &dyn std::fmt::Display| {
        SynchronizerError::Contract(format!("schema of {name}, version {version}: {reason}"))
    };
    let mut parsed = Vec::new();
    for (text, version) in texts.iter().zip(1..) {
        let schema = Schema::parse_str(text).map_err(|error| malformed(version, &error))?;
        let found = schema
            .name()
            .map(|name| name.fullname(None))
            .unwrap_or_default();
        if found != name {
            return Err(malformed(version, &format!("it is named `{found}`")));
        }
        for (other, earlier) in parsed.iter().zip(1..) {
            for (writer, reader) in [(other, &schema), (&schema, other)] {
                SchemaCompatibility::can_read(writer, reader).map_err(|error| {
                    malformed(
                        version,
                        &format!("does not fit to version {earlier}: {error}"),
                    )
                })?;
            }
        }
        parsed.push(schema);
    }
    if parsed.is_empty() {
        return Err(SynchronizerError::Contract(format!("{name} has no schema")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"type":"record","name":"A","fields":[{"name":"x","type":"long"}]}"#;

    #[test]
    fn the_contract_of_this_build_is_sound() {
        let desired = desired(&Topics::with_prefix("t_"), Vec::new()).unwrap();
        assert_eq!(desired.topics.len(), DEFINITIONS.len());
        assert!(desired.topics.iter().all(|it| it.name.starts_with("t_")));
        assert_eq!(desired.subjects.len(), RecordKind::ALL.len());
        let change = desired
            .subjects
            .iter()
            .find(|it| it.name == "t_balance_changed-nl.openweb.data.BalanceChanged");
        assert_eq!(change.unwrap().versions.len(), 2);
    }

    #[test]
    fn a_schema_that_cannot_be_used_is_named() {
        let fits = ONE.replace("}]}", r#"},{"name":"y","type":"long","default":0}]}"#);
        let lacks_default = ONE.replace("}]}", r#"},{"name":"y","type":"long"}]}"#);
        for (texts, word) in [
            (vec![ONE], None),
            (vec![ONE, fits.as_str()], None),
            (vec![], Some("has no schema")),
            (vec!["{"], Some("version 1")),
            (vec![ONE, "{\"type\":\"nothing\"}"], Some("version 2")),
            (vec![&ONE.replace("\"A\"", "\"B\"")], Some("named `B`")),
            (vec![ONE, &lacks_default], Some("does not fit to version 1")),
        ] {
            let outcome = check_versions("A", &texts).map_err(|error| error.to_string());
            match (word, outcome) {
                (None, outcome) => assert_eq!(outcome, Ok(())),
                (Some(word), Err(said)) => assert!(said.contains(word), "{said}"),
                (Some(word), Ok(())) => panic!("expected: {word}"),
            }
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let names = ["a".to_owned(), "b".to_owned(), "a".to_owned()];
        let said = check_unique("topic", names.iter()).unwrap_err().to_string();
        assert!(said.contains("topic `a` stands twice"), "{said}");
    }
}
