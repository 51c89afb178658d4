//! Scalars that carry their rules.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use topology::{Cents, CommandId, Iban};

use crate::edge::parse_cents;

/// An amount of euro cents on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(pub Cents);

/// An amount of money in euro cents, as a JSON string of digits with an optional minus, such as "-1230" for € -12,30.
/// A JSON integer is accepted as input too.
#[Scalar(name = "Amount")]
impl ScalarType for Amount {
    fn parse(value: Value) -> InputValueResult<Self> {
        let cents = match &value {
            Value::String(text) => parse_cents(text),
            Value::Number(number) => number.as_i64().map(Cents),
            _ => return Err(InputValueError::expected_type(value)),
        };
        cents
            .map(Amount)
            .ok_or_else(|| InputValueError::custom("an amount is a whole number of cents"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.0.to_string())
    }
}

/// A command's identity on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandKey(pub CommandId);

/// The client's own identity of a command: a UUID it makes before it sends, and keeps until it has an answer.
/// The same id with the same content gets the same answer; with other content it is refused (CONFLICT).
#[Scalar(name = "CommandId")]
impl ScalarType for CommandKey {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        uuid::Uuid::parse_str(text)
            .map(|id| CommandKey(CommandId(id)))
            .map_err(|_| InputValueError::custom("a command id is a UUID"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An IBAN on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IbanText(pub String);

/// An IBAN without spaces, in capitals. Input may have spaces and small letters.
#[Scalar(name = "Iban")]
impl ScalarType for IbanText {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        Iban::parse(text)
            .map(|iban| IbanText(iban.as_str().to_owned()))
            .map_err(|error| InputValueError::custom(format!("this is not an IBAN: {error}")))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_amount_is_a_whole_number_however_it_is_written() {
        for (text, cents) in [
            ("1", Some(1)),
            ("\"1\"", Some(1)),
            ("-1230", Some(-1230)),
            ("2147483648", Some(2_147_483_648)),
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("1.5", None),
            ("1.0", None),
            ("1e3", None),
            ("\"1e3\"", None),
            ("\"\"", None),
            ("\"ten\"", None),
            ("null", None),
            ("true", None),
            ("[1]", None),
            ("{}", None),
        ] {
            let read = Amount::parse(json(text)).ok();
            assert_eq!(read, cents.map(|cents| Amount(Cents(cents))), "{text}");
        }
        assert_eq!(Amount(Cents(-1230)).to_value(), json("\"-1230\""));
    }

    #[test]
    fn a_command_id_is_a_uuid() {
        for (text, valid) in [
            ("\"67e55044-10b1-426f-9247-bb680e5fe0c8\"", true),
            ("\"67E5504410B1426F9247BB680E5FE0C8\"", true),
            ("\"\"", false),
            ("\"67e55044-10b1-426f-9247-bb680e5fe0c\"", false),
            ("\"not a uuid\"", false),
            ("7", false),
        ] {
            assert_eq!(CommandKey::parse(json(text)).is_ok(), valid, "{text}");
        }
    }
}
