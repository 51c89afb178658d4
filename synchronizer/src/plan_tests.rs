use super::*;

const FIRST: &str = r#"{"type":"record","name":"A","fields":[{"name":"x","type":"long"}]}"#;
const SECOND: &str = r#"{"type":"record","name":"A","fields":[{"name":"x","type":"long"},{"name":"y","type":"long","default":0}]}"#;

fn desired() -> Desired {
    Desired {
        topics: vec![DesiredTopic {
            name: "heartbeat".to_owned(),
            partitions: 9,
            settings: [("retention.ms".to_owned(), "900000".to_owned())].into(),
        }],
        subjects: vec![DesiredSubject {
            name: "heartbeat-A".to_owned(),
            versions: vec![FIRST.to_owned(), SECOND.to_owned()],
        }],
        databases: vec![DesiredDatabase {
            name: "command_handler",
            migrations: vec![
                Migration {
                    version: "1".to_owned(),
                    name: "1_create".to_owned(),
                },
                Migration {
                    version: "2".to_owned(),
                    name: "2_more".to_owned(),
                },
            ],
        }],
    }
}

fn setting(value: &str, is_own: bool) -> Setting {
    Setting {
        value: value.to_owned(),
        is_own,
    }
}

/// What is there once [`desired`] was applied.
fn reached() -> Actual {
    Actual {
        topics: [(
            "heartbeat".to_owned(),
            ActualTopic {
                partitions: 9,
                settings: [("retention.ms".to_owned(), setting("900000", true))].into(),
            },
        )]
        .into(),
        subjects: [(
            "heartbeat-A".to_owned(),
            ActualSubject {
                versions: vec![FIRST.to_owned(), SECOND.to_owned()],
                compatibility: Some(COMPATIBILITY.to_owned()),
            },
        )]
        .into(),
        databases: [("command_handler", vec!["1".to_owned(), "2".to_owned()])].into(),
    }
}

fn lines(actual: &Actual) -> Vec<String> {
    plan(&desired(), actual).unwrap().lines()
}

fn drifts(actual: &Actual) -> Vec<String> {
    let drifts = plan(&desired(), actual).unwrap_err();
    drifts.iter().map(ToString::to_string).collect()
}

#[test]
fn given_nothing_when_planned_then_everything_is_made_in_order() {
    assert_eq!(
        lines(&Actual::default()),
        [
            "create topic heartbeat: partitions=9 retention.ms=900000",
            "register version 1 of subject heartbeat-A",
            "set compatibility of subject heartbeat-A: unset -> FULL_TRANSITIVE",
            "register version 2 of subject heartbeat-A",
            "migrate database command_handler: 1_create",
            "migrate database command_handler: 2_more",
        ]
    );
}

#[test]
fn given_everything_when_planned_then_there_is_nothing_to_do() {
    assert!(plan(&desired(), &reached()).unwrap().is_empty());
}

#[test]
fn given_what_we_do_not_know_when_planned_then_it_is_left_alone() {
    let mut actual = reached();
    actual
        .topics
        .insert("somebody_elses".to_owned(), ActualTopic::default());
    actual
        .subjects
        .insert("somebody_elses-A".to_owned(), ActualSubject::default());
    let subject = actual.subjects.get_mut("heartbeat-A").unwrap();
    subject.versions.push("a newer build's".to_owned());
    assert_eq!(lines(&actual), [""; 0]);
}

#[test]
fn given_other_settings_when_planned_then_they_are_repaired_and_others_kept() {
    let mut actual = reached();
    let topic = actual.topics.get_mut("heartbeat").unwrap();
    topic.settings = [
        ("retention.ms".to_owned(), setting("1", true)),
        ("max.message.bytes".to_owned(), setting("5", true)),
        ("segment.bytes".to_owned(), setting("7", false)),
    ]
    .into();
    assert_eq!(
        lines(&actual),
        ["set topic heartbeat: retention.ms 1 -> 900000"]
    );
    let plan = plan(&desired(), &actual).unwrap();
    let [TopicChange::Set { settings, .. }] = plan.topics.as_slice() else {
        panic!("one change of settings");
    };
    let kept: Vec<_> = settings
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        kept,
        [("max.message.bytes", "5"), ("retention.ms", "900000")]
    );
}

#[test]
fn given_other_partitions_when_planned_then_the_drift_is_named() {
    for found in [1, 8, 10] {
        let mut actual = reached();
        actual.topics.get_mut("heartbeat").unwrap().partitions = found;
        let said = drifts(&actual).join("\n");
        assert!(
            said.starts_with(&format!(
                "topic heartbeat has {found} partitions instead of 9"
            )),
            "{said}"
        );
    }
}

#[test]
fn given_a_subject_in_any_state_when_planned_then_only_what_lacks_is_done() {
    let full = Some(COMPATIBILITY);
    let register = "register version 2 of subject heartbeat-A";
    let none = "set compatibility of subject heartbeat-A: NONE -> FULL_TRANSITIVE";
    for (versions, compatibility, expected) in [
        (vec![FIRST], full, vec![register]),
        (vec![FIRST], Some("NONE"), vec![none, register]),
        (vec![FIRST, SECOND], Some("NONE"), vec![none]),
        (vec![FIRST, SECOND], full, vec![]),
    ] {
        let mut actual = reached();
        let subject = ActualSubject {
            versions: versions.iter().map(ToString::to_string).collect(),
            compatibility: compatibility.map(ToOwned::to_owned),
        };
        actual.subjects.insert("heartbeat-A".to_owned(), subject);
        assert_eq!(lines(&actual), expected);
    }
}

#[test]
fn given_other_content_registered_when_planned_then_the_drift_is_named() {
    let mut actual = reached();
    let subject = actual.subjects.get_mut("heartbeat-A").unwrap();
    subject.versions.remove(0);
    assert_eq!(
        drifts(&actual),
        ["subject heartbeat-A has another schema than ours as version 1"]
    );
}

#[test]
fn given_a_migration_we_do_not_know_when_planned_then_the_drift_is_named() {
    let mut actual = reached();
    let applied = actual.databases.get_mut("command_handler").unwrap();
    applied.push("3".to_owned());
    assert_eq!(
        drifts(&actual),
        ["database command_handler has migration 3, which this build does not know"]
    );
}

#[test]
fn given_several_drifts_when_planned_then_all_are_named() {
    let mut actual = reached();
    actual.topics.get_mut("heartbeat").unwrap().partitions = 1;
    let applied = actual.databases.get_mut("command_handler").unwrap();
    applied.push("3".to_owned());
    assert_eq!(drifts(&actual).len(), 2);
}
