//! A command's trail: what stands where, for its customer and for an employee.

use serde_json::{Value, json};
use topology::COMPANY_IBAN;
use uuid::Uuid;

use crate::support::{World, eventually};
use crate::{code, employee, sign_up};

const TRAIL: &str = "query ($id: CommandId!) { trail(commandId: $id) {
    command { topic partition offset key schemaId schemaVersion schemaName fields { name value } }
    outcome { topic schemaName key sentAt fields { name value } }
    changes { topic partition offset schemaVersion fields { name value } }
    transactions { iban changedBy serial } } }";

fn field<'a>(record: &'a Value, name: &str) -> &'a str {
    let fields = record["fields"].as_array().unwrap();
    let field = fields.iter().find(|field| field["name"] == name).unwrap();
    field["value"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_found_in_every_topic_it_has_touched_and_no_secret_with_it() {
    let world = World::start("trails").await;
    let bank = world.run_real_bank().await;
    let (ann, own) = sign_up(&world, "ann-of-trails").await;
    let (bob, _) = sign_up(&world, "bob-of-trails").await;
    let id = Uuid::new_v4().to_string();
    let transfer = format!(
        "mutation {{ transfer(input: {{ commandId: \"{id}\", to: \"{COMPANY_IBAN}\", amount: 5, \
         description: \"traced\" }}) {{ __typename }} }}"
    );
    let answer = ann.ask(&world, &transfer, Value::Null).await;
    assert_eq!(code(&answer), "none", "{answer}");
    let of = async |who: &crate::support::Program, changes: usize| {
        eventually("the read model has it", async || {
            let answer = who.ask(&world, TRAIL, json!({ "id": id })).await;
            let trail = answer["data"]["trail"].clone();
            let found = trail["changes"].as_array().map(Vec::len);
            (found == Some(changes)).then_some(trail)
        })
        .await
    };
    let trail = of(&ann, 1).await;
    let command = &trail["command"];
    assert!(
        command["topic"]
            .as_str()
            .unwrap()
            .ends_with("confirm_money_transfer")
    );
    assert_eq!(command["key"], own);
    assert_eq!(
        command["schemaName"],
        "nl.openweb.data.ConfirmMoneyTransfer"
    );
    assert_eq!(command["schemaVersion"], 1);
    assert_eq!(field(command, "amount"), "5");
    assert_eq!(field(command, "token"), "(not shown)");
    let outcome = &trail["outcome"];
    assert_eq!(
        outcome["schemaName"],
        "nl.openweb.data.MoneyTransferConfirmed"
    );
    assert_eq!(field(outcome, "id"), id);
    let change = &trail["changes"][0];
    assert_eq!(field(change, "iban"), own);
    assert_eq!(field(change, "command_id"), id);
    assert_eq!(change["schemaVersion"], 2);
    let serial = format!("{}:{}", change["partition"], change["offset"]);
    assert_eq!(trail["transactions"][0]["serial"], serial);

    let trail = of(&employee(&world).await, 2).await;
    assert!(
        trail["changes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| field(it, "iban") == COMPANY_IBAN)
    );
    let answer = bob.ask(&world, TRAIL, json!({ "id": id })).await;
    assert_eq!(answer["data"]["trail"], Value::Null, "{answer}");
    let answer = ann
        .ask(&world, TRAIL, json!({ "id": Uuid::new_v4() }))
        .await;
    assert_eq!(answer["data"]["trail"], Value::Null, "{answer}");
    bank.end().await;
}
