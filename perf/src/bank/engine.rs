//! The Docker Engine's API over its socket: which containers run, and what each has used.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::containers::{Sample, Use};

/// Where the Engine listens unless somebody says otherwise.
const SOCKET: &str = "/var/run/docker.sock";
/// For one answer; one without a first look at the counters comes at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Questions at the same time.
const AT_ONCE: usize = 8;
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";

/// A container that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Container {
    /// The Engine's name for it.
    pub id: String,
    /// Its project of Compose.
    pub project: String,
    /// Its service in it.
    pub service: String,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Labels")]
    labels: Option<HashMap<String, String>>,
}

/// Asks the Engine.
#[derive(Clone, Debug)]
pub struct Engine {
    http: Client,
    socket: PathBuf,
}

impl Engine {
    /// The socket that `DOCKER_HOST` names, or the usual one.
    ///
    /// # Errors
    /// Words for why it cannot be asked there.
    pub fn usual() -> Result<Engine, String> {
        let host = std::env::var("DOCKER_HOST").ok();
        Engine::at(&socket_of(host.as_deref())?)
    }

    /// At this socket.
    ///
    /// # Errors
    /// Words for why it cannot be asked there.
    pub fn at(socket: &Path) -> Result<Engine, String> {
        let shown = socket.display();
        if let Err(error) = UnixStream::connect(socket) {
            return Err(match error.kind() {
                ErrorKind::NotFound => format!("there is no Docker Engine at {shown}"),
                ErrorKind::PermissionDenied => {
                    format!("we may not ask the Docker Engine at {shown}")
                }
                _ => format!("nobody answers at {shown}: {error}"),
            });
        }
        let http = Client::builder()
            .no_proxy()
            .unix_socket(socket)
            .timeout(PATIENCE)
            .build();
        Ok(Engine {
            http: http.map_err(|error| format!("cannot speak HTTP: {error}"))?,
            socket: socket.to_owned(),
        })
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The containers that run and belong to a project of Compose: this one, or any.
    ///
    /// # Errors
    /// Words for what the Engine did not do.
    pub async fn containers(&self, project: Option<&str>) -> Result<Vec<Container>, String> {
        let label = match project {
            Some(project) => format!("{PROJECT}={project}"),
            None => PROJECT.to_owned(),
        };
        let filters = json!({ "label": [label] }).to_string();
        let listed: Vec<Listed> = self
            .ask("/containers/json", &[("filters", &filters)])
            .await?;
        let container = |listed: Listed| {
            let labels = listed.labels?;
            Some(Container {
                id: listed.id,
                project: labels.get(PROJECT)?.clone(),
                service: labels.get(SERVICE)?.clone(),
            })
        };
        Ok(listed.into_iter().filter_map(container).collect())
    }

    /// What every container of a project has used so far. One that ends meanwhile is not in it.
    ///
    /// # Errors
    /// Words for what the Engine did not do.
    pub async fn sample(&self, project: &str) -> Result<Sample, String> {
        let containers = self.containers(Some(project)).await?;
        let asked = containers.into_iter().map(|container| async move {
            let path = format!("/containers/{}/stats", container.id);
            let question = [("stream", "false"), ("one-shot", "true")];
            let stats: Value = self.ask(&path, &question).await?;
            Ok::<_, String>((container, stats))
        });
        let answers: Vec<_> = stream::iter(asked)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut sample = Sample::default();
        let mut refused = None;
        for answer in answers {
            match answer {
                Ok((container, stats)) => {
                    if let Some(used) = Use::read(&stats) {
                        sample.add(container, used);
                    }
                }
                Err(why) => refused = Some(why),
            }
        }
        match refused {
            // One that ends while it is asked is no fault of the Engine's.
            Some(why) if sample.is_empty() => Err(why),
            _ => Ok(sample),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &[(&str, &str)],
    ) -> Result<T, String> {
        let failed =
            |why: &dyn std::fmt::Display| format!("the Docker Engine did not answer {path}: {why}");
        // The host means nothing on a socket, but HTTP wants one.
        let url = Url::parse_with_params(&format!("http://engine{path}"), question);
        let url = url.map_err(|error| failed(&error))?;
        let answer = self.http.get(url).send().await;
        let mut answer = answer.map_err(|error| failed(&topology::service::chain(&error)))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(failed(&"it said too much"));
            }
            body.extend_from_slice(&piece);
        }
        if !status.is_success() {
            return Err(failed(&status));
        }
        serde_json::from_slice(&body).map_err(|error| failed(&error))
    }
}

/// Where to ask; `host` is the value of `DOCKER_HOST`.
fn socket_of(host: Option<&str>) -> Result<PathBuf, String> {
    match host {
        None | Some("") => Ok(SOCKET.into()),
        Some(host) => host
            .strip_prefix("unix://")
            .map(PathBuf::from)
            .ok_or_else(|| {
                format!("DOCKER_HOST is {host}, and the Docker Engine is asked over unix:// only")
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_docker_host_says_when_the_socket_is_chosen_then_only_sockets_are_taken() {
        assert_eq!(socket_of(None), Ok(SOCKET.into()));
        assert_eq!(socket_of(Some("")), Ok(SOCKET.into()));
        assert_eq!(
            socket_of(Some("unix:///run/a.sock")),
            Ok("/run/a.sock".into())
        );
        let refused = socket_of(Some("tcp://10.0.0.1:2375")).unwrap_err();
        assert!(refused.contains("tcp://10.0.0.1:2375"), "{refused}");
    }

    #[test]
    fn given_no_socket_or_nobody_behind_it_when_asked_then_words_say_which() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("none.sock");
        let why = Engine::at(&nowhere).unwrap_err();
        assert!(why.starts_with("there is no Docker Engine at"), "{why}");
        let left = folder.path().join("left.sock");
        drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
        let why = Engine::at(&left).unwrap_err();
        assert!(why.starts_with("nobody answers at"), "{why}");
    }
}
