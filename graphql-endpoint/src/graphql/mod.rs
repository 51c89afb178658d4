//! The API: types, queries, mutations, the subscription.

mod cursor;

pub mod documents;

pub mod guard;

mod live_status;

mod mutation;

pub mod operation;

mod query;

pub mod scalars;

mod subscription;

pub mod trails;

pub mod types;

use std::sync::Arc;

use async_graphql::{Context, Request, Response, SDLExportOptions, ServerError, Value};

use crate::answer::{Code, Refusal};
use crate::gateway::{Caller, Gateway};
use documents::{Documents, Prepared};
use mutation::Mutation;
use query::Query;
use subscription::Subscription;

/// The executable API.
pub type Schema = Documents<Query, Mutation, Subscription>;

/// Deepest nesting the library walks; the guard has stricter limits.
const DEPTH_MAX: usize = guard::INTROSPECTION.depth;
/// Most complexity the library sums up; it counts rows of pages too.
const COMPLEXITY_MAX: usize = guard::INTROSPECTION.fields;

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query, Mutation, Subscription)
        .limit_depth(DEPTH_MAX)
        .limit_complexity(COMPLEXITY_MAX)
        .limit_directives(guard::DIRECTIVES_MAX)
}

/// The API on top of a gateway.
#[must_use]
pub fn schema(gateway: Arc<Gateway>) -> Schema {
    Documents::of(move || {
        let builder = builder().data(Arc::clone(&gateway));
        if gateway.demo_mode {
            builder
        } else {
            builder.disable_introspection().disable_suggestions()
        }
    })
}

/// The schema in the schema definition language, as in `schema.graphql`.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .prefer_single_line_descriptions()
        .use_space_ident();
    let mut text = builder().finish().sdl_with_options(options);
    let length = text.trim_end().len();
    text.truncate(length);
    text.push('\n');
    text
}

/// A checked request, ready to be executed.
///
/// # Errors
/// When the document is refused before anything runs.
pub fn prepare(
    schema: &Schema,
    request: Request,
    caller: Caller,
    gateway: &Gateway,
) -> Result<Prepared, Refusal> {
    let prepared = schema.prepare(request)?;
    if prepared.checked().is_introspection && !gateway.demo_mode {
        return Err(Refusal::new(
            Code::Forbidden,
            "the schema is shown in demo mode only",
        ));
    }
    Ok(prepared.with(caller))
}

/// An answer that is nothing but a refusal.
#[must_use]
pub fn refused(refusal: Refusal) -> Response {
    let error = async_graphql::Error::from(refusal);
    Response::from_errors(vec![error.into_server_error(async_graphql::Pos::default())])
}

/// Gives every error its code: those without one are the library's own, and say what is
/// wrong with the document or its values.
pub fn classify(response: &mut Response) {
    for error in &mut response.errors {
        if code_of(error).is_some() {
            if error.locations.iter().all(|at| at.line == 0) {
                error.locations.clear();
            }
            continue;
        }
        let code = match error.message.as_str() {
            "Query is too complex." | "Query is nested too deep." => Code::TooComplex,
            message if message.starts_with("The recursion depth") => Code::TooComplex,
            message if message.contains("number of directives") => Code::TooComplex,
            _ => Code::Validation,
        };
        error
            .extensions
            .get_or_insert_default()
            .set("code", code.as_str());
    }
}

fn code_of(error: &ServerError) -> Option<&Value> {
    error.extensions.as_ref()?.get("code")
}

fn gateway<'a>(context: &Context<'a>) -> &'a Arc<Gateway> {
    context.data_unchecked::<Arc<Gateway>>()
}

fn caller<'a>(context: &Context<'a>) -> &'a Caller {
    context.data_unchecked::<Caller>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_in_the_repository_is_the_one_in_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
        let written = std::fs::read_to_string(path).unwrap();
        assert!(
            super::sdl() == written,
            "write it again: graphql-endpoint --print-schema > graphql-endpoint/schema.graphql"
        );
    }
}
