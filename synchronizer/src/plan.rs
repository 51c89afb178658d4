//! From what should be and what is to what must be done. Pure: nothing is asked, nothing
//! is changed.

use std::collections::BTreeMap;
use std::fmt;

/// Every version of a subject must read, and be read by, every other one.
pub const COMPATIBILITY: &str = "FULL_TRANSITIVE";

/// A topic as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredTopic {
    /// Full name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// Settings by name.
    pub settings: BTreeMap<String, String>,
}

/// A subject as the contract has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredSubject {
    /// Full name.
    pub name: String,
    /// Schema texts, oldest first.
    pub versions: Vec<String>,
}

/// A database migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// What the database remembers of it.
    pub version: String,
    /// What people call it.
    pub name: String,
}

/// A database as this build has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredDatabase {
    /// Whose it is.
    pub name: &'static str,
    /// Its migrations, in order.
    pub migrations: Vec<Migration>,
}

/// What should be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Topics.
    pub topics: Vec<DesiredTopic>,
    /// Subjects.
    pub subjects: Vec<DesiredSubject>,
    /// Databases.
    pub databases: Vec<DesiredDatabase>,
}

/// A setting of a topic as the brokers have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its value.
    pub value: String,
    /// Whether it was set for this topic, not taken from the brokers.
    pub is_own: bool,
}

/// A topic as the brokers have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActualTopic {
    /// How many partitions.
    pub partitions: usize,
    /// Settings by name, the brokers' defaults among them.
    pub settings: BTreeMap<String, Setting>,
}

/// A subject as the registry has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActualSubject {
    /// Schema texts, oldest first.
    pub versions: Vec<String>,
    /// The subject's own compatibility.
    pub compatibility: Option<String>,
}

/// What is there, of what we know by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// Topics by name.
    pub topics: BTreeMap<String, ActualTopic>,
    /// Subjects by name.
    pub subjects: BTreeMap<String, ActualSubject>,
    /// Versions of applied migrations by database.
    pub databases: BTreeMap<&'static str, Vec<String>>,
}

/// A difference a program must not repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// More partitions would move keys to other ones; fewer would lose records.
    Partitions {
        /// The topic.
        topic: String,
        /// By the table.
        expected: i32,
        /// By the brokers.
        found: usize,
    },
    /// What was registered is never changed.
    Schema {
        /// The subject.
        subject: String,
        /// Which version, from 1.
        version: usize,
    },
    /// Somebody newer, or somebody else, was here.
    UnknownMigration {
        /// The database.
        database: &'static str,
        /// What it remembers.
        version: String,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Drift::Partitions {
                topic,
                expected,
                found,
            } => write!(
                f,
                "topic {topic} has {found} partitions instead of {expected} \
                 (another number moves keys, and so breaks their order)"
            ),
            Drift::Schema { subject, version } => write!(
                f,
                "subject {subject} has another schema than ours as version {version}"
            ),
            Drift::UnknownMigration { database, version } => write!(
                f,
                "database {database} has migration {version}, which this build does not know"
            ),
        }
    }
}

/// What must be done to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicChange {
    /// It is not there.
    Create(DesiredTopic),
    /// Its settings are others.
    Set {
        /// The topic.
        topic: String,
        /// Setting, value found, value wanted.
        differences: Vec<(String, String, String)>,
        /// All settings it shall have of its own, as altering replaces them all.
        settings: BTreeMap<String, String>,
    },
}

/// What must be done to a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectStep {
    /// Register the next version.
    Register {
        /// Which one, from 1.
        version: usize,
        /// Its schema.
        text: String,
    },
    /// Set its compatibility, which needs a first version.
    SetCompatibility {
        /// What it was.
        found: Option<String>,
    },
}

/// What must be done to a subject, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectPlan {
    /// The subject.
    pub subject: String,
    /// The steps.
    pub steps: Vec<SubjectStep>,
}

/// What must be done to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabasePlan {
    /// The database.
    pub database: &'static str,
    /// Migrations to run.
    pub migrations: Vec<Migration>,
}

/// Everything that must be done. The three parts do not depend on each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Topics.
    pub topics: Vec<TopicChange>,
    /// Subjects.
    pub subjects: Vec<SubjectPlan>,
    /// Databases.
    pub databases: Vec<DatabasePlan>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.subjects.is_empty() && self.databases.is_empty()
    }

    /// One line for each change.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let topics = self.topics.iter().map(TopicChange::to_string);
        let subjects = self.subjects.iter().flat_map(|plan| {
            plan.steps.iter().map(|step| match step {
                SubjectStep::Register { version, .. } => {
                    format!("register version {version} of subject {}", plan.subject)
                }
                SubjectStep::SetCompatibility { found } => format!(
                    "set compatibility of subject {}: {} -> {COMPATIBILITY}",
                    plan.subject,
                    found.as_deref().unwrap_or("unset")
                ),
            })
        });
        let databases = self.databases.iter().flat_map(|plan| {
            plan.migrations
                .iter()
                .map(|it| format!("migrate database {}: {}", plan.database, it.name))
        });
        topics.chain(subjects).chain(databases).collect()
    }
}

impl fmt::Display for TopicChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicChange::Create(topic) => {
                write!(
                    f,
                    "create topic {}: partitions={}",
                    topic.name, topic.partitions
                )?;
                for (name, value) in &topic.settings {
                    write!(f, " {name}={value}")?;
                }
                Ok(())
            }
            TopicChange::Set {
                topic, differences, ..
            } => {
                write!(f, "set topic {topic}:")?;
                for (name, found, wanted) in differences {
                    write!(f, " {name} {found} -> {wanted}")?;
                }
                Ok(())
            }
        }
    }
}

/// What must be done so that `actual` becomes `desired`.
///
/// What `desired` does not name is left alone.
///
/// # Errors
/// Every [`Drift`] found; then nothing may be done at all.
pub fn plan(desired: &Desired, actual: &Actual) -> Result<Plan, Vec<Drift>> {
    let mut drifts = Vec::new();
    let plan = Plan {
        topics: desired
            .topics
            .iter()
            .filter_map(|topic| plan_topic(topic, actual.topics.get(&topic.name), &mut drifts))
            .collect(),
        subjects: desired
            .subjects
            .iter()
            .filter_map(|subject| {
                plan_subject(subject, actual.subjects.get(&subject.name), &mut drifts)
            })
            .collect(),
        databases: desired
            .databases
            .iter()
            .filter_map(|database| {
                let applied = actual.databases.get(database.name);
                plan_database(database, applied.map_or(&[], Vec::as_slice), &mut drifts)
            })
            .collect(),
    };
    if drifts.is_empty() {
        Ok(plan)
    } else {
        Err(drifts)
    }
}

/// Whether these topics are as they should be.
pub(crate) fn are_reached(
    desired: &[DesiredTopic],
    actual: &BTreeMap<String, ActualTopic>,
) -> bool {
    let mut drifts = Vec::new();
    desired
        .iter()
        .all(|topic| plan_topic(topic, actual.get(&topic.name), &mut drifts).is_none())
        && drifts.is_empty()
}

fn plan_topic(
    desired: &DesiredTopic,
    actual: Option<&ActualTopic>,
    drifts: &mut Vec<Drift>,
) -> Option<TopicChange> {
    let Some(actual) = actual else {
        return Some(TopicChange::Create(desired.clone()));
    };
    if usize::try_from(desired.partitions) != Ok(actual.partitions) {
        drifts.push(Drift::Partitions {
            topic: desired.name.clone(),
            expected: desired.partitions,
            found: actual.partitions,
        });
        return None;
    }
    let differences: Vec<_> = desired
        .settings
        .iter()
        .filter_map(|(name, wanted)| {
            let found = actual.settings.get(name).map(|setting| &setting.value);
            (found != Some(wanted)).then(|| {
                let found = found.map_or_else(|| "unset".to_owned(), Clone::clone);
                (name.clone(), found, wanted.clone())
            })
        })
        .collect();
    if differences.is_empty() {
        return None;
    }
    let mut settings: BTreeMap<String, String> = actual
        .settings
        .iter()
        .filter(|(_, setting)| setting.is_own)
        .map(|(name, setting)| (name.clone(), setting.value.clone()))
        .collect();
    settings.extend(desired.settings.clone());
    Some(TopicChange::Set {
        topic: desired.name.clone(),
        differences,
        settings,
    })
}

/// Versions beyond ours are a newer build's, and compatible: left alone.
fn plan_subject(
    desired: &DesiredSubject,
    actual: Option<&ActualSubject>,
    drifts: &mut Vec<Drift>,
) -> Option<SubjectPlan> {
    let nothing = ActualSubject::default();
    let actual = actual.unwrap_or(&nothing);
    let mut steps = Vec::new();
    for (position, text) in desired.versions.iter().enumerate() {
        let version = position + 1;
        match actual.versions.get(position) {
            Some(found) if topology::schemas::same_schema(found, text) => {}
            Some(_) => drifts.push(Drift::Schema {
                subject: desired.name.clone(),
                version,
            }),
            None => steps.push(SubjectStep::Register {
                version,
                text: text.clone(),
            }),
        }
    }
    if actual.compatibility.as_deref() != Some(COMPATIBILITY) {
        let after_first = usize::from(actual.versions.is_empty());
        steps.insert(
            after_first.min(steps.len()),
            SubjectStep::SetCompatibility {
                found: actual.compatibility.clone(),
            },
        );
    }
    (!steps.is_empty()).then(|| SubjectPlan {
        subject: desired.name.clone(),
        steps,
    })
}

fn plan_database(
    desired: &DesiredDatabase,
    applied: &[String],
    drifts: &mut Vec<Drift>,
) -> Option<DatabasePlan> {
    let known = |version: &String| desired.migrations.iter().any(|it| it.version == *version);
    drifts.extend(
        applied
            .iter()
            .filter(|version| !known(version))
            .map(|version| Drift::UnknownMigration {
                database: desired.name,
                version: version.clone(),
            }),
    );
    let missing: Vec<Migration> = desired
        .migrations
        .iter()
        .filter(|migration| !applied.contains(&migration.version))
        .cloned()
        .collect();
    (!missing.is_empty()).then_some(DatabasePlan {
        database: desired.name,
        migrations: missing,
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
