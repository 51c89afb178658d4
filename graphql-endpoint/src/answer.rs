//! Answers that say no: a closed set of codes, words for people, nothing internal.

use std::time::Duration;

use async_graphql::ErrorExtensions;
use topology::service::chain;
use tracing::error;

use crate::error::Error;
use crate::steps::Interrupted;

/// The codes a client may meet, as in `extensions.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Not a GraphQL request.
    BadRequest,
    /// The request breaks a rule that the client could have known.
    Validation,
    /// Nobody is signed in, or with wrong credentials.
    Unauthenticated,
    /// Signed in, but not allowed.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The id or the name already means something else.
    Conflict,
    /// Too many tries.
    RateLimited,
    /// The document asks for too much.
    TooComplex,
    /// The request is too large.
    TooLarge,
    /// Something the answer needs is away; try again.
    Unavailable,
    /// Our fault; the log knows more.
    Internal,
}

impl Code {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Code::BadRequest => "BAD_REQUEST",
            Code::Validation => "VALIDATION",
            Code::Unauthenticated => "UNAUTHENTICATED",
            Code::Forbidden => "FORBIDDEN",
            Code::NotFound => "NOT_FOUND",
            Code::Conflict => "CONFLICT",
            Code::RateLimited => "RATE_LIMITED",
            Code::TooComplex => "TOO_COMPLEX",
            Code::TooLarge => "TOO_LARGE",
            Code::Unavailable => "UNAVAILABLE",
            Code::Internal => "INTERNAL",
        }
    }
}

/// No, and why. Not an error of the program, so not one of Rust's either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// With this code and these words.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// What was sent breaks a rule.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Refusal {
        Refusal::new(Code::Validation, message)
    }

    /// Our fault: the client gets a number, the log what happened.
    #[must_use]
    pub fn internal(error: &dyn std::error::Error) -> Refusal {
        let correlation = uuid::Uuid::new_v4();
        error!(%correlation, error = chain(error), "request failed");
        Refusal::new(
            Code::Internal,
            format!("something went wrong here; tell us this number: {correlation}"),
        )
    }

    /// Too many tries; come back after this time.
    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Refusal {
        Refusal {
            retry_after: Some(retry_after),
            ..Refusal::new(
                Code::RateLimited,
                format!(
                    "too many tries; try again in {} seconds",
                    retry_after.as_secs().max(1)
                ),
            )
        }
    }

    /// The seconds to wait, where the refusal says so.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs().max(1))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        if let Error::DatabaseAway(_) = error {
            return Refusal::new(Code::Unavailable, "the database is away; try again soon");
        }
        Refusal::internal(&error)
    }
}

impl From<Interrupted> for Refusal {
    fn from(interrupted: Interrupted) -> Refusal {
        Error::from(interrupted).into()
    }
}

impl From<Refusal> for async_graphql::Error {
    fn from(refusal: Refusal) -> async_graphql::Error {
        let retry_after = refusal.retry_after_seconds();
        async_graphql::Error::new(refusal.message).extend_with(|_, extensions| {
            extensions.set("code", refusal.code.as_str());
            if let Some(seconds) = retry_after {
                extensions.set("retryAfterSeconds", seconds);
            }
        })
    }
}
