//! Subjects, as the schema registry has them (the Confluent API).

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::info;

use crate::error::{Failure, SynchronizerError};
use crate::plan::{ActualSubject, COMPATIBILITY, DesiredSubject, SubjectPlan, SubjectStep};

/// Longest wait for one answer of the registry; a young JVM may take its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Most characters of an answer that go into a message.
const SAID_CHARACTERS_MAX: usize = 300;

/// The registry, asked and changed over HTTP.
pub(crate) struct Registry {
    client: Client,
    url: String,
    party: String,
}

#[derive(Deserialize)]
struct Registered {
    schema: String,
}

#[derive(Deserialize)]
struct Compatibility {
    #[serde(rename = "compatibilityLevel")]
    level: String,
}

impl Registry {
    pub(crate) fn new(url: &str) -> Result<Registry, SynchronizerError> {
        let party = format!("schema registry at {url}");
        let client = topology::tls::trusting(Client::builder())
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|error| {
                SynchronizerError::Refused(vec![Failure::refused(&party, error).reason])
            })?;
        Ok(Registry {
            client,
            url: url.trim_end_matches('/').to_owned(),
            party,
        })
    }

    pub(crate) fn party(&self) -> &str {
        &self.party
    }

    /// Those of the desired subjects that are there.
    pub(crate) async fn read(
        &self,
        desired: &[DesiredSubject],
    ) -> Result<BTreeMap<String, ActualSubject>, Failure> {
        // Only tells that the API is up: the list is cut off after a thousand (Apicurio Registry), and a registry may be
        // shared with many others. So each is asked for by its name.
        let _: Option<Vec<String>> = self.get("subjects").await?;
        let wanted = desired
            .iter()
            .map(|subject| self.read_subject(&subject.name));
        Ok(try_join_all(wanted).await?.into_iter().flatten().collect())
    }

    /// `None` when it is not there.
    async fn read_subject(
        &self,
        subject: &str,
    ) -> Result<Option<(String, ActualSubject)>, Failure> {
        let path = format!("subjects/{subject}/versions");
        let Some(mut numbers) = self.get::<Vec<u32>>(&path).await? else {
            return Ok(None);
        };
        numbers.sort_unstable();
        let versions = async {
            let texts = numbers.into_iter().map(|number| async move {
                let path = format!("subjects/{subject}/versions/{number}");
                let registered: Option<Registered> = self.get(&path).await?;
                registered.map(|it| it.schema).ok_or_else(|| {
                    Failure::away(&self.party, format!("{subject}: version {number} vanished"))
                })
            });
            try_join_all(texts).await
        };
        let compatibility = async {
            let found: Option<Compatibility> = self.get(&format!("config/{subject}")).await?;
            Ok(found.map(|it| it.level))
        };
        let (versions, compatibility) = tokio::try_join!(versions, compatibility)?;
        Ok(Some((
            subject.to_owned(),
            ActualSubject {
                versions,
                compatibility,
            },
        )))
    }

    /// Makes the changes: subjects side by side, the steps of each in order.
    pub(crate) async fn apply(&self, plans: &[SubjectPlan]) -> Result<(), Failure> {
        try_join_all(plans.iter().map(|plan| self.apply_subject(plan))).await?;
        Ok(())
    }

    async fn apply_subject(&self, plan: &SubjectPlan) -> Result<(), Failure> {
        let subject = &plan.subject;
        for step in &plan.steps {
            match step {
                SubjectStep::Register { version, text } => {
                    let url = self.at(&format!("subjects/{subject}/versions"));
                    let body = serde_json::json!({ "schema": text, "schemaType": "AVRO" });
                    self.change(self.client.post(url).json(&body), subject)
                        .await?;
                    info!(subject, version, "schema registered");
                }
                SubjectStep::SetCompatibility { .. } => {
                    let url = self.at(&format!("config/{subject}"));
                    let body = serde_json::json!({ "compatibility": COMPATIBILITY });
                    self.change(self.client.put(url).json(&body), subject)
                        .await?;
                    info!(subject, compatibility = COMPATIBILITY, "compatibility set");
                }
            }
        }
        Ok(())
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    /// `None` when the registry says there is no such thing.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        let answer = self
            .client
            .get(self.at(path))
            .send()
            .await
            .map_err(|error| self.no_answer(&error))?;
        match answer.status() {
            StatusCode::OK => {
                let value = answer
                    .json()
                    .await
                    .map_err(|error| self.no_answer(&error))?;
                Ok(Some(value))
            }
            // For the list of subjects, 404 means that the API is not up yet, or not here.
            StatusCode::NOT_FOUND if path != "subjects" => Ok(None),
            status => {
                let said = answer.text().await.unwrap_or_default();
                Err(self.judge(status, path, &said))
            }
        }
    }

    async fn change(&self, request: RequestBuilder, subject: &str) -> Result<(), Failure> {
        let answer = request
            .send()
            .await
            .map_err(|error| self.no_answer(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said = answer.text().await.unwrap_or_default();
        Err(self.judge(status, subject, &said))
    }

    fn no_answer(&self, error: &reqwest::Error) -> Failure {
        Failure::away(&self.party, topology::service::chain(error))
    }

    /// 4xx will stay a no, but for those that mean "not now".
    fn judge(&self, status: StatusCode, what: &str, said: &str) -> Failure {
        let said: String = said.chars().take(SAID_CHARACTERS_MAX).collect();
        let text = format!("{what}: {status} {said}");
        let not_now = matches!(
            status,
            StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        );
        if status.is_client_error() && !not_now {
            Failure::refused(&self.party, text)
        } else {
            Failure::away(&self.party, text)
        }
    }
}
