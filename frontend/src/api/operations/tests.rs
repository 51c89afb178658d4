//! Texts stand in the schema, answers are read, amounts leave whole.

use super::*;
use crate::{
    api::{
        response::{self, ApiError, ErrorCode},
        types::RejectionReason,
    },
    money::Cents,
};

#[test]
fn every_operation_stands_in_the_schema() {
    let schema = async_graphql_parser::parse_schema(include_str!(
        "../../../../graphql-endpoint/schema.graphql"
    ))
    .expect("the schema is read");
    for query in [
        BANK_AND_ME,
        ACCOUNT,
        OLDER_TRANSACTIONS,
        ACCOUNTS,
        COMMAND,
        OPEN_ACCOUNT,
        LOG_IN,
        LOG_OUT,
        LOG_OUT_EVERYWHERE,
        DEPOSIT,
        TRANSFER,
        FOLLOW,
    ] {
        crate::api::schema_check::check(&schema, query);
    }
}

#[test]
fn answers_are_read_as_the_gateway_writes_them() {
    let read = |text| response::read::<PaymentAnswer>(&response::parse(text).unwrap());
    let confirmed = read(r#"{"data":{"payment":{"__typename":"PaymentConfirmed"}}}"#).unwrap();
    assert_eq!(confirmed.payment, PaymentResult::PaymentConfirmed);
    let rejected = read(
        r#"{"data":{"payment":{"__typename":"CommandRejected","reason":"INSUFFICIENT_FUNDS","message":"no"}}}"#,
    );
    let reason = RejectionReason::InsufficientFunds;
    assert_eq!(
        rejected.unwrap().payment,
        PaymentResult::CommandRejected {
            reason,
            message: "no".to_owned()
        }
    );
    let refused = read(
        r#"{"data":null,"errors":[{"message":"slow down","extensions":{"code":"RATE_LIMITED"}}]}"#,
    );
    assert!(refused.unwrap_err().is(ErrorCode::RateLimited));
    let newer = read(r#"{"errors":[{"message":"?","extensions":{"code":"TEAPOT"}}]}"#);
    assert!(newer.unwrap_err().is(ErrorCode::Other));
    assert!(matches!(read("{}"), Err(ApiError::Malformed(_))));
}

#[test]
fn an_operation_knows_its_name() {
    assert_eq!(bank_and_me().name(), "BankAndMe");
    assert_eq!(follow("NL66OPEN0000000000", None).name(), "Follow");
}

#[test]
fn amounts_leave_as_strings() {
    let id = CommandId(uuid::Uuid::nil());
    let operation = pay(
        id,
        &Payment::Deposit {
            amount: Cents(5_000),
        },
    );
    assert_eq!(operation.variables["input"]["amount"], "5000");
    assert_eq!(
        operation.variables["input"]["commandId"],
        "00000000-0000-0000-0000-000000000000"
    );
}
