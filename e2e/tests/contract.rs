//! What strangers may rely on: any client can read every record, a handler of 2019 is
//! understood, and nothing anyone sends stops the bank.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Bank, PATIENCE, eventually};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use topology::Iban;
use uuid::Uuid;

const TRANSFER: &str = "mutation($input: TransferInput!) { transfer(input: $input) { \
    __typename ... on CommandRejected { reason message } \
    ... on PaymentConfirmed { commandId } ... on CommandPending { commandId } } }";
const DEPOSIT: &str = "mutation($input: DepositInput!) { deposit(input: $input) { \
    __typename ... on CommandRejected { reason } } }";
const LOG_IN: &str =
    "mutation($input: LogInInput!) { logIn(input: $input) { user { userName role } } }";

fn producer(bank: &Bank) -> Result<FutureProducer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", &bank.kafka)
        .set("broker.address.family", "v4")
        .create()?)
}

async fn send(producer: &FutureProducer, topic: &str, key: &str, value: &[u8]) -> Result<()> {
    let record = FutureRecord::to(topic).key(key).payload(value);
    producer
        .send(record, PATIENCE)
        .await
        .map(|_| ())
        .map_err(|(error, _)| error.into())
}

async fn transfer(bank: &Bank, id: Uuid, to: &str, amount: &Value, text: &str) -> Result<Value> {
    let input = json!({ "commandId": id, "to": to, "amount": amount, "description": text });
    bank.graphql(TRANSFER, json!({ "input": input })).await
}

fn error_code(answer: &Value) -> Option<&str> {
    answer["errors"][0]["extensions"]["code"].as_str()
}

async fn deposit(bank: &Bank, cents: &str) -> Result<()> {
    let input = json!({ "commandId": Uuid::new_v4(), "amount": cents });
    let data = bank.data(DEPOSIT, json!({ "input": input })).await?;
    ensure!(
        data["deposit"]["__typename"] == "PaymentConfirmed",
        "{data}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn given_payments_when_an_independent_client_reads_all_topics_then_it_understands_each_record()
-> Result<()> {
    let bank = Bank::start("independent")?;
    let iban = bank.open_account("independent").await?;
    deposit(&bank, "10000").await?;
    let company = Iban::company();
    let paid = transfer(
        &bank,
        Uuid::new_v4(),
        company.as_str(),
        &json!("1234"),
        "book",
    )
    .await?;
    ensure!(
        paid["data"]["transfer"]["__typename"] == "PaymentConfirmed",
        "{paid}"
    );
    bank.succeed(&["load", "50"])?;
    eventually("the public has paid", PATIENCE, async || {
        let read = bank.read_topics()?;
        ensure!(read["commands"].as_u64() > Some(60), "{}", read["counts"]);
        Ok(())
    })
    .await?;
    bank.succeed(&["load", "0"])?;
    bank.wait_until_quiet(PATIENCE).await?;
    bank.check_invariants().await?;
    let read = bank.read_topics()?;
    let stands = json!({ "balance_cents": 8_766, "version": 2 });
    ensure!(
        read["balances"][&iban] == stands,
        "{}",
        read["balances"][&iban]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_handler_of_2019_when_it_writes_balance_changed_then_the_gateway_reads_it()
-> Result<()> {
    let bank = Bank::start("handler-of-2019")?;
    let subject = "balance_changed-nl.openweb.data.BalanceChanged";
    let first = format!("{}/subjects/{subject}/versions/1", bank.schema_registry);
    let first: Value = bank.http.get(first).send().await?.json().await?;
    let id = u32::try_from(first["id"].as_u64().context("no id")?)?;
    ensure!(
        !first["schema"]
            .as_str()
            .unwrap_or("")
            .contains("command_id")
    );
    let iban = Iban::of_our_bank(4_711);
    let producer = producer(&bank)?;
    for (new_balance, changed_by) in [(500_i64, 500_i64), (380, -120)] {
        let mut value = vec![0];
        value.extend_from_slice(&id.to_be_bytes());
        string(&mut value, iban.as_str());
        long(&mut value, new_balance);
        long(&mut value, changed_by);
        string(&mut value, "cash");
        string(&mut value, "from 2019");
        send(&producer, "balance_changed", iban.as_str(), &value).await?;
    }
    let credentials =
        json!({ "userName": "demo-employee", "password": demo_password(&bank).await? });
    bank.data(LOG_IN, json!({ "input": credentials })).await?;
    let query = "query($iban: Iban!) { account(iban: $iban) { balance version \
        transactions(first: 5) { nodes { newBalance changedBy version description commandId } } } }";
    eventually("both changes are in the read model", PATIENCE, async || {
        let data = bank.data(query, json!({ "iban": iban.as_str() })).await?;
        let account = &data["account"];
        ensure!(
            account["balance"] == "380" && account["version"] == 2,
            "{data}"
        );
        let newest = &account["transactions"]["nodes"][0];
        ensure!(
            newest["changedBy"] == "-120" && newest["commandId"].is_null(),
            "{data}"
        );
        Ok(())
    })
    .await
}

async fn demo_password(bank: &Bank) -> Result<String> {
    let data = bank
        .data("{ bank { demoUsers { userName password } } }", json!({}))
        .await?;
    let users = data["bank"]["demoUsers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    users
        .iter()
        .find(|user| user["userName"] == "demo-employee")
        .and_then(|user| user["password"].as_str())
        .map(str::to_owned)
        .with_context(|| format!("no demo employee in {data}"))
}

/// Avro's number: zigzag, seven bits a byte.
fn long(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = (number << 1) ^ (number >> 63);
    while rest & !0x7f != 0 {
        bytes.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest = rest.cast_unsigned().wrapping_shr(7).cast_signed();
    }
    bytes.push(u8::try_from(rest).unwrap_or(0));
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    long(bytes, text.len().try_into().unwrap_or(0));
    bytes.extend_from_slice(text.as_bytes());
}

fn dead_letters(bank: &Bank) -> Result<i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &bank.kafka)
        .set("broker.address.family", "v4")
        .create()?;
    Ok(consumer.fetch_watermarks("dead_letters", 0, PATIENCE)?.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn given_undecodable_records_on_every_topic_when_read_then_each_is_a_dead_letter_and_work_goes_on()
-> Result<()> {
    let bank = Bank::start("poison")?;
    let producer = producer(&bank)?;
    let poison: [&[u8]; 4] = [
        b"",
        b"\x01abcde",
        b"\0\x7f\xff\xff\xff\x02",
        b"\0\0\0\0\x01",
    ];
    let topics = [
        "heartbeat",
        "confirm_account_creation",
        "confirm_money_transfer",
        "account_creation_feedback",
        "money_transfer_feedback",
        "balance_changed",
    ];
    let before = dead_letters(&bank)?;
    for topic in topics {
        for value in poison {
            send(&producer, topic, "poison", value).await?;
        }
    }
    // The account feedback is read by the gateway and by the generator: two letters each.
    let least = before + i64::try_from(topics.len() * poison.len())?;
    eventually("each is a dead letter", PATIENCE, async || {
        let now = dead_letters(&bank)?;
        ensure!(now >= least, "{now} of {least}");
        Ok(())
    })
    .await?;
    bank.open_account("after-the-poison").await?;
    deposit(&bank, "100").await?;
    bank.wait_until_quiet(Duration::from_secs(20)).await?;
    let status = bank.status()?;
    for service in status["services"].as_array().cloned().unwrap_or_default() {
        ensure!(service["restarts"] == 0, "{service}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn given_input_nobody_should_send_when_sent_then_the_answer_is_clear_and_no_money_moves()
-> Result<()> {
    let bank = Bank::start("bad-input")?;
    let signed_out = transfer(&bank, Uuid::new_v4(), "Shop", &json!("1"), "x").await?;
    ensure!(
        error_code(&signed_out) == Some("UNAUTHENTICATED"),
        "{signed_out}"
    );
    let wrong = json!({ "input": { "userName": "nobody-here", "password": "not the password" } });
    let refused = bank.graphql(LOG_IN, wrong).await?;
    ensure!(error_code(&refused) == Some("UNAUTHENTICATED"), "{refused}");

    let iban = bank.open_account("bad-input").await?;
    deposit(&bank, "10000").await?;
    let unknown = Iban::of_our_bank(999_999_999);
    let too_long = "x".repeat(141);
    for (to, amount, description, then) in [
        ("Shop", json!("0"), "x", "VALIDATION"),
        ("Shop", json!("-1"), "x", "VALIDATION"),
        ("Shop", json!("1000000001"), "x", "VALIDATION"),
        ("Shop", json!("9223372036854775808"), "x", "VALIDATION"),
        ("Shop", json!("12.345"), "x", "VALIDATION"),
        ("Shop", json!("1e3"), "x", "VALIDATION"),
        ("Shop", json!("twelve"), "x", "VALIDATION"),
        ("Shop", json!(1.5), "x", "VALIDATION"),
        ("Shop", json!(null), "x", "VALIDATION"),
        ("", json!("1"), "x", "VALIDATION"),
        ("NL67OPEN0000000000", json!("1"), "x", "VALIDATION"),
        ("DE88370400440532013000", json!("1"), "x", "VALIDATION"),
        ("cash", json!("1"), "x", "VALIDATION"),
        ("Shop", json!("1"), too_long.as_str(), "VALIDATION"),
        ("Shop", json!("1"), "line\nbreak", "VALIDATION"),
        (unknown.as_str(), json!("1"), "x", "PAYEE_UNKNOWN"),
        (iban.as_str(), json!("1"), "x", "SAME_ACCOUNT"),
        ("Shop", json!("60001"), "x", "INSUFFICIENT_FUNDS"),
    ] {
        let answer = transfer(&bank, Uuid::new_v4(), to, &amount, description).await?;
        let told = error_code(&answer)
            .or(answer["data"]["transfer"]["reason"].as_str())
            .map(str::to_owned);
        ensure!(
            told.as_deref() == Some(then),
            "{to} {amount} {description}: {answer}"
        );
    }

    // The same id: the same answer with the same content, a refusal with other content.
    let id = Uuid::new_v4();
    let spaced = "de89 3704 0044 0532 0130 00";
    for _ in 0..3 {
        let paid = transfer(&bank, id, spaced, &json!("100"), "x").await?;
        ensure!(
            paid["data"]["transfer"]["__typename"] == "PaymentConfirmed",
            "{paid}"
        );
    }
    for (amount, description) in [("101", "x"), ("100", "y")] {
        let other = transfer(&bank, id, spaced, &json!(amount), description).await?;
        ensure!(error_code(&other) == Some("CONFLICT"), "{other}");
    }
    bank.wait_until_quiet(Duration::from_secs(20)).await?;
    bank.check_invariants().await?;
    let read = bank.read_topics()?;
    let stands = json!({ "balance_cents": 9_900, "version": 2 });
    ensure!(
        read["balances"][&iban] == stands,
        "{}",
        read["balances"][&iban]
    );
    Ok(())
}
