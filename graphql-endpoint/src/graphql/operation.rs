//! One operation as programs send it, in JSON.

use std::collections::BTreeMap;

use async_graphql::{Request, Variables};
use serde::Deserialize;

use crate::answer::{Code, Refusal};

/// Bytes of an operation's variables.
const VARIABLES_BYTES_MAX: usize = 16 * 1024;

/// The request as GraphQL over HTTP has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    query: String,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<BTreeMap<String, serde_json::Value>>,
    #[serde(default)]
    extensions: Option<BTreeMap<String, serde_json::Value>>,
}

impl Operation {
    /// As the library wants it.
    ///
    /// # Errors
    /// TOO_LARGE for variables beyond their limit.
    pub fn into_request(self) -> Result<Request, Refusal> {
        // Persisted queries and the like are not supported; other extensions say nothing
        // to us.
        drop(self.extensions);
        let variables = self.variables.unwrap_or_default();
        let bytes = variables.iter().map(|(name, it)| name.len() + bytes_of(it));
        if bytes.sum::<usize>() > VARIABLES_BYTES_MAX {
            let message = format!("variables have at most {VARIABLES_BYTES_MAX} bytes");
            return Err(Refusal::new(Code::TooLarge, message));
        }
        let variables = serde_json::Value::Object(variables.into_iter().collect());
        let mut request = Request::new(self.query).variables(Variables::from_json(variables));
        request.operation_name = self.operation_name;
        Ok(request)
    }
}

/// About what a value takes as JSON. The parser has bounded how deep it is.
fn bytes_of(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|it| bytes_of(it) + 1).sum::<usize>() + 2,
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, it)| name.len() + bytes_of(it) + 4)
                .sum::<usize>()
                + 2
        }
    }
}

/// Reads an operation from JSON.
///
/// # Errors
/// BAD_REQUEST for anything else.
pub fn read(bytes: &[u8]) -> Result<Operation, Refusal> {
    serde_json::from_slice(bytes).map_err(|_| {
        let is_batch = bytes.trim_ascii_start().first() == Some(&b'[');
        Refusal::new(
            Code::BadRequest,
            if is_batch {
                "send one operation at a time"
            } else {
                "the body is no GraphQL request in JSON"
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_operation_in_an_object_is_a_request() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (text, valid) in [
            (r#"{"query":"{a}"}"#, true),
            (
                r#"{"query":"{a}","variables":null,"operationName":null}"#,
                true,
            ),
            (
                r#"{"query":"{a}","variables":{"a":1},"extensions":{}}"#,
                true,
            ),
            ("", false),
            ("{}", false),
            ("[]", false),
            ("null", false),
            ("\"x\"", false),
            ("1", false),
            (r#"{"query":"{a}""#, false),
            (r#"{"query":1}"#, false),
            (r#"{"query":"{a}","query":"{b}"}"#, false),
            (r#"{"query":"{a}","variables":[]}"#, false),
            (r#"[{"query":"{a}"}]"#, false),
            (&deep, false),
            ("\u{feff}{\"query\":\"{a}\"}", false),
        ] {
            assert_eq!(read(text.as_bytes()).is_ok(), valid, "{text:.60}");
        }
        assert!(read(b"{\"query\":\"\xff\"}").is_err());
    }
}
