//! Documents that were sent before: parsed, measured and found valid once.
//!
//! Programs send the same few texts again and again. A text that was executed without an
//! error of its own is kept with what was found of it; after that it is neither parsed nor
//! walked by the strict rules again. What depends on the variables is checked each time:
//! here that they have no fields of their own invention, the rest where they are read.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, DocumentOperations, ExecutableDocument, Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::{
    ObjectType, Request, Response, SchemaBuilder, SubscriptionType, ValidationMode, Value,
    Variables,
};
use futures_util::{Stream, StreamExt};

use super::guard::{self, Checked};
use crate::answer::Refusal;

/// Documents kept.
const DOCUMENTS_MAX: usize = 256;
/// Bytes of all their texts; parsed, they take some ten times as much.
const TEXT_BYTES_MAX: usize = 128 * 1024;

/// The API, and what was sent to it before.
pub struct Documents<Query, Mutation, Subscription> {
    strict: async_graphql::Schema<Query, Mutation, Subscription>,
    /// For what has passed the strict one.
    fast: async_graphql::Schema<Query, Mutation, Subscription>,
    inputs: Inputs,
    known: RwLock<Known>,
    clock: AtomicU64,
}

/// A request that may be executed.
pub struct Prepared {
    request: Request,
    checked: Checked,
    /// Whether it was found valid before.
    is_known: bool,
    /// What to keep once it is.
    news: Option<Box<News>>,
}

impl Prepared {
    /// What the document is.
    #[must_use]
    pub fn checked(&self) -> Checked {
        self.checked
    }

    /// The same request with something for its resolvers.
    #[must_use]
    pub fn with<D: std::any::Any + Send + Sync>(mut self, data: D) -> Prepared {
        self.request = self.request.data(data);
        self
    }
}

struct News {
    text: String,
    document: Document,
}

#[derive(Clone)]
struct Document {
    parsed: Arc<ExecutableDocument>,
    operation_name: Option<String>,
    checked: Checked,
}

struct Entry {
    document: Document,
    used_at: AtomicU64,
}

#[derive(Default)]
struct Known {
    entries: HashMap<String, Entry>,
    text_bytes: usize,
}

impl Known {
    fn keep(&mut self, news: News, now: u64) {
        let bytes = news.text.len();
        if bytes > TEXT_BYTES_MAX {
            return;
        }
        self.forget(&news.text);
        while self.entries.len() >= DOCUMENTS_MAX || self.text_bytes + bytes > TEXT_BYTES_MAX {
            let used_at = |entry: &Entry| entry.used_at.load(Ordering::Relaxed);
            let oldest = self.entries.iter().min_by_key(|(_, entry)| used_at(entry));
            let Some(oldest) = oldest.map(|(text, _)| text.clone()) else {
                return;
            };
            self.forget(&oldest);
        }
        self.text_bytes += bytes;
        let entry = Entry {
            document: news.document,
            used_at: AtomicU64::new(now),
        };
        self.entries.insert(news.text, entry);
    }

    fn forget(&mut self, text: &str) {
        if self.entries.remove(text).is_some() {
            self.text_bytes -= text.len();
        }
    }
}

impl<Query, Mutation, Subscription> Documents<Query, Mutation, Subscription>
where
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
    Subscription: SubscriptionType + 'static,
{
    /// Of an API that is built twice alike.
    pub fn of(build: impl Fn() -> SchemaBuilder<Query, Mutation, Subscription>) -> Self {
        let strict = build().finish();
        let fast = build().validation_mode(ValidationMode::Fast).finish();
        Documents {
            inputs: Inputs::of(&strict.sdl()),
            strict,
            fast,
            known: RwLock::default(),
            clock: AtomicU64::new(0),
        }
    }

    /// Checks a request before anything of it runs.
    ///
    /// # Errors
    /// When the document, or a variable, is refused.
    pub fn prepare(&self, mut request: Request) -> Result<Prepared, Refusal> {
        if let Some(document) = self.find(&request) {
            self.inputs.check(
                &document.parsed,
                &document.operation_name,
                &request.variables,
            )?;
            request.set_parsed_query(ExecutableDocument::clone(&document.parsed));
            return Ok(Prepared {
                request,
                checked: document.checked,
                is_known: true,
                news: None,
            });
        }
        let checked = guard::check(&mut request)?;
        let parsed = request.parsed_query().ok().cloned();
        let news = parsed.filter(|_| !checked.is_introspection).map(|parsed| {
            Box::new(News {
                text: request.query.clone(),
                document: Document {
                    parsed: Arc::new(parsed),
                    operation_name: request.operation_name.clone(),
                    checked,
                },
            })
        });
        Ok(Prepared {
            request,
            checked,
            is_known: false,
            news,
        })
    }

    /// Executes a query or a mutation.
    pub async fn execute(&self, prepared: Prepared) -> Response {
        if prepared.is_known {
            return self.fast.execute(prepared.request).await;
        }
        let response = self.strict.execute(prepared.request).await;
        self.learn(prepared.news, &response);
        response
    }

    /// Executes a subscription.
    pub fn stream(
        self: &Arc<Self>,
        prepared: Prepared,
    ) -> impl Stream<Item = Response> + Send + Unpin + use<Query, Mutation, Subscription> {
        let schema = if prepared.is_known {
            &self.fast
        } else {
            &self.strict
        };
        let answers = schema.execute_stream(prepared.request);
        let (documents, mut news) = (Arc::clone(self), prepared.news);
        answers.inspect(move |response| documents.learn(news.take(), response))
    }

    fn find(&self, request: &Request) -> Option<Document> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entries.get(&request.query)?;
        if entry.document.operation_name != request.operation_name {
            return None;
        }
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        entry.used_at.store(now, Ordering::Relaxed);
        Some(entry.document.clone())
    }

    /// An error without a path is about the document or its variables: then it is looked
    /// at again the next time.
    fn learn(&self, news: Option<Box<News>>, response: &Response) {
        if let Some(news) = news
            && response.errors.iter().all(|error| !error.path.is_empty())
        {
            let now = self.clock.fetch_add(1, Ordering::Relaxed);
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.keep(*news, now);
        }
    }

    /// Documents known at the moment.
    #[must_use]
    pub fn count(&self) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.entries.len()
    }
}

/// The fields of each input type, and which of them are input types again.
struct Inputs(HashMap<String, HashMap<String, Option<String>>>);

impl Inputs {
    fn of(sdl: &str) -> Inputs {
        let definitions = parse_schema(sdl).map_or_else(|_| Vec::new(), |it| it.definitions);
        let mut inputs = HashMap::new();
        for definition in definitions {
            if let TypeSystemDefinition::Type(of) = definition
                && let TypeKind::InputObject(input) = of.node.kind
            {
                let fields = input.fields.into_iter().map(|field| {
                    let type_name = named(&field.node.ty.node).to_owned();
                    (field.node.name.node.to_string(), type_name)
                });
                inputs.insert(of.node.name.node.to_string(), fields.collect::<Vec<_>>());
            }
        }
        let names: HashSet<String> = inputs.keys().cloned().collect();
        let inputs = inputs.into_iter().map(|(name, fields)| {
            let fields = fields.into_iter();
            let fields = fields.map(|(field, of)| (field, names.contains(&of).then_some(of)));
            (name, fields.collect())
        });
        Inputs(inputs.collect())
    }

    /// Whether the variables have only fields that the schema knows.
    fn check(
        &self,
        document: &ExecutableDocument,
        chosen: &Option<String>,
        variables: &Variables,
    ) -> Result<(), Refusal> {
        let operation = match (&document.operations, chosen) {
            (DocumentOperations::Single(operation), _) => Some(operation),
            (DocumentOperations::Multiple(all), Some(name)) => all.get(name.as_str()),
            (DocumentOperations::Multiple(all), None) => all.values().next(),
        };
        let definitions = operation.map_or(&[][..], |it| &it.node.variable_definitions);
        for definition in definitions {
            let definition = &definition.node;
            if let Some(fields) = self.0.get(named(&definition.var_type.node))
                && let Some(value) = variables.get(&definition.name.node)
            {
                self.check_value(fields, value)?;
            }
        }
        Ok(())
    }

    fn check_value(
        &self,
        fields: &HashMap<String, Option<String>>,
        value: &Value,
    ) -> Result<(), Refusal> {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    let Some(input) = fields.get(name.as_str()) else {
                        return Err(Refusal::validation(format!(
                            "there is no field `{name}` in this input"
                        )));
                    };
                    if let Some(fields) = input.as_ref().and_then(|input| self.0.get(input)) {
                        self.check_value(fields, value)?;
                    }
                }
                Ok(())
            }
            Value::List(items) => items.iter().try_for_each(|it| self.check_value(fields, it)),
            _ => Ok(()),
        }
    }
}

fn named(of: &Type) -> &str {
    match &of.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => named(inner),
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{EmptyMutation, EmptySubscription, InputObject, Object};
    use serde_json::json;

    use super::*;

    struct Query;

    #[derive(InputObject)]
    struct Inner {
        deep: Option<i32>,
    }

    #[derive(InputObject)]
    struct Input {
        number: i32,
        inner: Option<Vec<Inner>>,
    }

    #[Object]
    impl Query {
        async fn double(&self, input: Input) -> Result<i32, async_graphql::Error> {
            let doubled = input.number.checked_mul(2);
            doubled.ok_or_else(|| "too large".into())
        }
    }

    type Api = Documents<Query, EmptyMutation, EmptySubscription>;

    fn api() -> Api {
        Documents::of(|| async_graphql::Schema::build(Query, EmptyMutation, EmptySubscription))
    }

    const DOUBLE: &str = "query ($input: Input!) { double(input: $input) }";

    async fn ask(api: &Api, text: &str, input: serde_json::Value) -> Result<Response, Refusal> {
        let variables = Variables::from_json(json!({ "input": input }));
        let prepared = api.prepare(Request::new(text).variables(variables))?;
        Ok(api.execute(prepared).await)
    }

    #[tokio::test]
    async fn given_a_text_that_was_valid_when_it_comes_again_then_it_gets_the_same_answer() {
        let api = api();
        for _ in 0..3 {
            let answer = ask(&api, DOUBLE, json!({ "number": 21 })).await.unwrap();
            assert_eq!(answer.data.into_json().unwrap(), json!({ "double": 42 }));
        }
        assert_eq!(api.count(), 1);
    }

    #[tokio::test]
    async fn given_a_known_text_then_bad_variables_are_refused_as_ever() {
        let known = api();
        ask(&known, DOUBLE, json!({ "number": 1 })).await.unwrap();
        for input in [
            json!(null),
            json!(7),
            json!([]),
            json!({}),
            json!({ "number": "1" }),
            json!({ "number": 1.5 }),
            json!({ "number": null }),
            json!({ "number": 1, "other": 2 }),
            json!({ "number": 1, "inner": [{ "deep": 1, "deeper": 2 }] }),
            json!({ "number": 1, "inner": { "deeper": 2 } }),
            json!({ "number": i32::MAX }),
        ] {
            for api in [&known, &api()] {
                let answer = ask(api, DOUBLE, input.clone()).await;
                let is_refused = answer.is_err_and(|_| true)
                    || ask(api, DOUBLE, input.clone())
                        .await
                        .is_ok_and(|answer| answer.is_err());
                assert!(is_refused, "{input}");
            }
        }
    }

    #[tokio::test]
    async fn given_a_text_that_is_not_valid_then_it_is_not_kept() {
        let api = api();
        for text in ["{ nothing }", "query ($input: Input!) { double }"] {
            let answer = ask(&api, text, json!({ "number": 1 })).await.unwrap();
            assert!(answer.is_err());
        }
        assert!(ask(&api, "{", json!({})).await.is_err());
        assert_eq!(api.count(), 0);
        // Its own no is the resolver's, not the document's.
        ask(&api, DOUBLE, json!({ "number": i32::MAX }))
            .await
            .unwrap();
        assert_eq!(api.count(), 1);
    }

    #[tokio::test]
    async fn given_a_flood_of_texts_then_only_so_many_are_kept_and_the_busy_one_is() {
        let api = api();
        for number in 0..2 * DOCUMENTS_MAX {
            ask(&api, DOUBLE, json!({ "number": 1 })).await.unwrap();
            let text = format!("{{ a{number}: double(input: {{ number: 1 }}) }}");
            ask(&api, &text, json!(null)).await.unwrap();
        }
        assert_eq!(api.count(), DOCUMENTS_MAX);
        let known = api.known.read().unwrap();
        assert!(known.entries.contains_key(DOUBLE));
        let bytes: usize = known.entries.keys().map(String::len).sum();
        assert_eq!(known.text_bytes, bytes);
    }
}
