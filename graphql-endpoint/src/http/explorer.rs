//! A page of our own to try the API from, with examples. It is part of the program, so that
//! nothing is fetched from anywhere.

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

const PAGE: &str = include_str!("../../explorer/index.html");
const SCRIPT: &str = include_str!("../../explorer/explorer.js");
const STYLE: &str = include_str!("../../explorer/explorer.css");

/// An operation to begin with.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Example {
    /// What it is, in a few words.
    pub title: &'static str,
    /// The document.
    pub document: &'static str,
    /// Its variables as JSON; `$uuid` stands for an id that is made anew.
    pub variables: &'static str,
}

macro_rules! example {
    ($title:literal, $name:literal) => {
        Example {
            title: $title,
            document: include_str!(concat!("../../explorer/examples/", $name, ".graphql")),
            variables: include_str!(concat!("../../explorer/examples/", $name, ".json")),
        }
    };
}

/// All of them, in the order in which one would try them.
pub const EXAMPLES: [Example; 12] = [
    example!("The bank, and who you are", "bank"),
    example!("Log in", "log_in"),
    example!("Open an account", "open_account"),
    example!("Deposit cash", "deposit"),
    example!("Transfer money", "transfer"),
    example!("What became of a command", "command"),
    example!("A command's trail through the topics", "trail"),
    example!("Transactions, page by page", "transactions"),
    example!("All accounts (employee)", "accounts"),
    example!("Live transactions", "live"),
    example!("How the bank is", "status"),
    example!("The newest records of a topic", "topic"),
];

/// The page and what it needs.
pub(super) fn router() -> Router {
    Router::new()
        .route("/graphiql", get(|| async { Html(PAGE) }))
        .route(
            "/graphiql/explorer.js",
            get(|| async { file("text/javascript", SCRIPT) }),
        )
        .route(
            "/graphiql/explorer.css",
            get(|| async { file("text/css", STYLE) }),
        )
        .route(
            "/graphiql/examples.json",
            get(|| async { axum::Json(EXAMPLES) }),
        )
        .route(
            "/graphiql/schema.graphql",
            get(|| async { file("text/plain; charset=utf-8", crate::schema_text()) }),
        )
}

fn file(content_type: &'static str, content: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, content_type)], content).into_response()
}
