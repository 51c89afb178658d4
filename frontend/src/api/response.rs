//! What any answer of the gateway comes in, and why there may be none.

use serde_json::Value;
use thiserror::Error;

use crate::readable::{self, Readable, Reader};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApiError {
    /// The gateway was not reached, or its answer was not: whether it acted is unknown.
    #[error("no connection")]
    Unreachable,
    /// Something else than GraphQL came back.
    #[error("answer not understood: {0}")]
    Malformed(String),
    /// The gateway said no.
    #[error("{message}")]
    Refused {
        /// What kind of no.
        code: ErrorCode,
        /// In the gateway's words.
        message: String,
        /// When it says so.
        retry_after_seconds: Option<u64>,
    },
}

impl ApiError {
    /// Whether the same request may well succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable | Self::Malformed(_) => true,
            Self::Refused { code, .. } => {
                matches!(
                    code,
                    ErrorCode::RateLimited | ErrorCode::Unavailable | ErrorCode::Internal
                )
            }
        }
    }

    /// Whether it is a no of this kind.
    #[must_use]
    pub fn is(&self, expected: ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == expected)
    }
}

/// Kinds of no, as in `extensions.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the gateway's and say it")]
pub enum ErrorCode {
    BadRequest,
    Validation,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    RateLimited,
    TooComplex,
    TooLarge,
    Unavailable,
    Internal,
    /// Also what a newer gateway may add.
    Other,
}

impl Readable for ErrorCode {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let known = [
            ("BAD_REQUEST", Self::BadRequest),
            ("VALIDATION", Self::Validation),
            ("UNAUTHENTICATED", Self::Unauthenticated),
            ("FORBIDDEN", Self::Forbidden),
            ("NOT_FOUND", Self::NotFound),
            ("CONFLICT", Self::Conflict),
            ("RATE_LIMITED", Self::RateLimited),
            ("TOO_COMPLEX", Self::TooComplex),
            ("TOO_LARGE", Self::TooLarge),
            ("UNAVAILABLE", Self::Unavailable),
            ("INTERNAL", Self::Internal),
        ];
        reader.word(value, &known, Some(Self::Other))
    }
}

/// A text as JSON.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<Value, ApiError> {
    serde_json::from_str(text).map_err(|error| ApiError::Malformed(error.to_string()))
}

/// What a response holds, if there is no error.
///
/// # Errors
/// The first error, that there is nothing at all, or what is missing.
pub fn read<Answer: Readable>(response: &Value) -> Result<Answer, ApiError> {
    let data = data(response)?;
    readable::answer(data).map_err(|missing| ApiError::Malformed(missing.to_owned()))
}

fn data(response: &Value) -> Result<&Value, ApiError> {
    match (response["errors"].get(0), &response["data"]) {
        (Some(error), _) => Err(refusal(error)),
        (None, Value::Null) => Err(ApiError::Malformed("no data".to_owned())),
        (None, data) => Ok(data),
    }
}

/// One error of a response. What it does not say is empty.
#[must_use]
pub fn refusal(error: &Value) -> ApiError {
    let extensions = &error["extensions"];
    ApiError::Refused {
        code: ErrorCode::read(&extensions["code"], &mut Reader::default()),
        message: error["message"].as_str().unwrap_or_default().to_owned(),
        retry_after_seconds: extensions["retryAfterSeconds"].as_u64(),
    }
}
