//! Which versions of which schemas are registered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use topology::topics::{DEFINITIONS, Topics};

use super::web;

/// Schemas change rarely: asked again after so long.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What the registry said last.
pub(super) struct Registry {
    url: String,
    topics: Topics,
    /// By the topic's full name.
    versions: BTreeMap<String, Vec<i32>>,
    asked_at: Option<Instant>,
    /// Whether it answered the last time; `None` before it was asked.
    pub(super) answers: Option<bool>,
}

impl Registry {
    pub(super) fn at(url: &str, topics: Topics) -> Registry {
        Registry {
            url: url.to_owned(),
            topics,
            versions: BTreeMap::new(),
            asked_at: None,
            answers: None,
        }
    }

    /// Whether it is there, each time; the versions now and then.
    pub(super) async fn ask(&mut self, client: &reqwest::Client) {
        let is_due = self
            .asked_at
            .is_none_or(|at| at.elapsed() >= ASKED_AGAIN_AFTER);
        if !is_due {
            let first = DEFINITIONS
                .iter()
                .find_map(|it| Some((it, it.records.first()?)));
            if let Some((definition, record)) = first {
                let subject = self.topics.subject(definition.topic, *record);
                self.answers = Some(self.versions_of(client, &subject).await.is_some());
            }
            return;
        }
        let mut found = BTreeMap::new();
        for definition in &DEFINITIONS {
            let mut versions = BTreeSet::new();
            for record in definition.records {
                let subject = self.topics.subject(definition.topic, *record);
                let Some(registered) = self.versions_of(client, &subject).await else {
                    self.answers = Some(false);
                    return;
                };
                versions.extend(registered);
            }
            let versions = versions.into_iter().collect();
            found.insert(self.topics.name(definition.topic), versions);
        }
        self.answers = Some(true);
        self.asked_at = Some(Instant::now());
        self.versions = found;
    }

    /// None registered is an answer too.
    async fn versions_of(&self, client: &reqwest::Client, subject: &str) -> Option<Vec<i32>> {
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let answer = web::get(client, &url).await?;
        Some(answer.json().unwrap_or_default())
    }

    /// Of the records in a topic.
    pub(super) fn versions(&self, topic: &str) -> Vec<i32> {
        self.versions.get(topic).cloned().unwrap_or_default()
    }
}
