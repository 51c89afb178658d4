//! Topics, as the brokers have them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic,
    OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use topology::kafka::{Connection, KafkaConfig};
use tracing::info;

use crate::error::{Failure, SynchronizerError};
use crate::plan::{self, ActualTopic, DesiredTopic, Setting, TopicChange};

/// Longest wait for one answer of the brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before looking again whether the brokers show a change.
const VISIBLE_PAUSE: Duration = Duration::from_millis(10);
/// Replicas of each partition, where there are brokers enough.
const REPLICAS_MAX: usize = 3;

type Admin = AdminClient<Connection>;

/// The brokers, asked and changed through one client.
pub(crate) struct Brokers {
    admin: Arc<Admin>,
    party: String,
}

impl Brokers {
    pub(crate) fn new(config: &KafkaConfig) -> Result<Brokers, SynchronizerError> {
        let party = format!("kafka at {}", config.brokers);
        let admin = config
            .client("synchronizer")
            .create_with_context(Connection::new("synchronizer"))
            .map_err(|error| {
                SynchronizerError::Refused(vec![Failure::refused(&party, error).reason])
            })?;
        Ok(Brokers {
            admin: Arc::new(admin),
            party,
        })
    }

    pub(crate) fn party(&self) -> &str {
        &self.party
    }

    /// Those of the desired topics that are there.
    pub(crate) async fn read(
        &self,
        desired: &[DesiredTopic],
    ) -> Result<BTreeMap<String, ActualTopic>, Failure> {
        let cluster = self.metadata().await?;
        let mut topics: BTreeMap<String, ActualTopic> = desired
            .iter()
            .filter_map(|topic| {
                let partitions = *cluster.partitions.get(&topic.name)?;
                let settings = BTreeMap::new();
                Some((
                    topic.name.clone(),
                    ActualTopic {
                        partitions,
                        settings,
                    },
                ))
            })
            .collect();
        if topics.is_empty() {
            return Ok(topics);
        }
        let specifiers: Vec<ResourceSpecifier<'_>> = topics
            .keys()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let described = self
            .admin
            .describe_configs(&specifiers, &options())
            .await
            .map_err(|error| self.failure(&error))?;
        for resource in described {
            let resource = resource.map_err(|code| Failure::away(&self.party, code))?;
            if let OwnedResourceSpecifier::Topic(name) = &resource.specifier
                && let Some(topic) = topics.get_mut(name)
            {
                topic.settings = settings(&resource);
            }
        }
        Ok(topics)
    }

    /// Makes the changes, and waits until the brokers show them: they answer first and
    /// tell each other later, and whoever starts next shall find the topics.
    pub(crate) async fn apply(
        &self,
        changes: &[TopicChange],
        desired: &[DesiredTopic],
    ) -> Result<(), Failure> {
        if changes.is_empty() {
            return Ok(());
        }
        self.create(changes).await?;
        self.set(changes).await?;
        while !plan::are_reached(desired, &self.read(desired).await?) {
            tokio::time::sleep(VISIBLE_PAUSE).await;
        }
        Ok(())
    }

    async fn create(&self, changes: &[TopicChange]) -> Result<(), Failure> {
        let replicas = self.metadata().await?.brokers.clamp(1, REPLICAS_MAX);
        let replicas = i32::try_from(replicas).unwrap_or(1);
        let topics: Vec<NewTopic<'_>> = changes
            .iter()
            .filter_map(|change| match change {
                TopicChange::Create(topic) => Some(NewTopic {
                    name: &topic.name,
                    num_partitions: topic.partitions,
                    replication: TopicReplication::Fixed(replicas),
                    config: topic
                        .settings
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str()))
                        .collect(),
                }),
                TopicChange::Set { .. } => None,
            })
            .collect();
        if topics.is_empty() {
            return Ok(());
        }
        let results = self
            .admin
            .create_topics(&topics, &options())
            .await
            .map_err(|error| self.failure(&error))?;
        for result in results {
            match result {
                Ok(topic) => info!(topic, "topic created"),
                // Somebody was faster: whether with our partitions, the next reading says.
                Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => {
                    return Err(Failure::away(
                        &self.party,
                        format!("topic {topic} was created by somebody else meanwhile"),
                    ));
                }
                Err((topic, code)) => {
                    return Err(self.refusal(code, &format!("topic {topic} not created")));
                }
            }
        }
        Ok(())
    }

    async fn set(&self, changes: &[TopicChange]) -> Result<(), Failure> {
        let altered: Vec<AlterConfig<'_>> = changes
            .iter()
            .filter_map(|change| match change {
                TopicChange::Set {
                    topic, settings, ..
                } => Some(settings.iter().fold(
                    AlterConfig::new(ResourceSpecifier::Topic(topic)),
                    |altered, (name, value)| altered.set(name, value),
                )),
                TopicChange::Create(_) => None,
            })
            .collect();
        if altered.is_empty() {
            return Ok(());
        }
        let results = self
            .admin
            .alter_configs(&altered, &options())
            .await
            .map_err(|error| self.failure(&error))?;
        for result in results {
            match result {
                Ok(topic) => info!(?topic, "topic settings repaired"),
                Err((topic, code)) => {
                    return Err(self.refusal(code, &format!("settings of {topic:?} not set")));
                }
            }
        }
        Ok(())
    }

    async fn metadata(&self) -> Result<Cluster, Failure> {
        let admin = Arc::clone(&self.admin);
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = admin.inner().fetch_metadata(None, ANSWER_TIMEOUT)?;
            Ok::<_, KafkaError>(Cluster {
                brokers: metadata.brokers().len(),
                partitions: metadata
                    .topics()
                    .iter()
                    .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
                    .collect(),
            })
        });
        match asked.await {
            Ok(Ok(cluster)) => Ok(cluster),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(error) => Err(Failure::away(&self.party, error)),
        }
    }

    /// A question that got no answer.
    fn failure(&self, error: &KafkaError) -> Failure {
        match error.rdkafka_error_code() {
            Some(code) => self.refusal(code, &error.to_string()),
            None => Failure::away(&self.party, error),
        }
    }

    fn refusal(&self, code: RDKafkaErrorCode, what: &str) -> Failure {
        let said = format!("{what}: {code}");
        if is_lasting(code) {
            Failure::refused(&self.party, said)
        } else {
            Failure::away(&self.party, said)
        }
    }
}

impl Drop for Brokers {
    /// Closing waits for a thread of the client; nobody need wait with it.
    fn drop(&mut self) {
        let admin = Arc::clone(&self.admin);
        std::thread::spawn(move || drop(admin));
    }
}

struct Cluster {
    brokers: usize,
    partitions: BTreeMap<String, usize>,
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ANSWER_TIMEOUT))
        .operation_timeout(Some(ANSWER_TIMEOUT))
}

fn settings(resource: &ConfigResource) -> BTreeMap<String, Setting> {
    resource
        .entries
        .iter()
        .filter_map(|entry| {
            let setting = Setting {
                value: entry.value.clone()?,
                is_own: entry.source == ConfigSource::DynamicTopic,
            };
            Some((entry.name.clone(), setting))
        })
        .collect()
}

/// Answers that asking again will not change.
fn is_lasting(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::InvalidPartitions
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::UnsupportedVersion
            | RDKafkaErrorCode::SaslAuthenticationFailed
    )
}
