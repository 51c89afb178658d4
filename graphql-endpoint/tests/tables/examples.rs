//! The examples of the explorer are run as they are, so that none of them is out of date.

use graphql_endpoint::http::explorer::EXAMPLES;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::raw::RawSocket;
use crate::support::{Program, World};
use crate::{code, employee, sign_up};

#[tokio::test(flavor = "multi_thread")]
async fn each_example_of_the_explorer_is_answered() {
    let world = World::start("examples").await;
    let _bank = world.run_agreeable_bank().await;
    let employee = employee(&world).await;
    let (customer, _) = sign_up(&world, "tries-the-examples").await;
    for example in EXAMPLES {
        let variables = example
            .variables
            .replace("$uuid", &Uuid::new_v4().to_string());
        let variables: Value = serde_json::from_str(&variables).unwrap();
        if example.document.contains("subscription ") {
            let headers = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";
            let mut socket = RawSocket::open(&world.address, headers).await;
            socket.hello(None).await;
            let payload = json!({ "query": example.document, "variables": variables });
            socket
                .say(&json!({ "type": "subscribe", "id": "1", "payload": payload }))
                .await;
            // Refused it would say so before it answers the ping.
            socket.say(&json!({ "type": "ping" })).await;
            socket.hear("pong").await;
            continue;
        }
        let who = if example.title.contains("employee") {
            &employee
        } else {
            &customer
        };
        let answer = who.ask(&world, example.document, variables).await;
        assert_eq!(code(&answer), "none", "{}: {answer}", example.title);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_explorer_needs_nothing_from_anywhere_else() {
    let world = World::start("explorer").await;
    for (path, content_type) in [
        ("/graphiql", "text/html"),
        ("/graphiql/explorer.js", "text/javascript"),
        ("/graphiql/explorer.css", "text/css"),
        ("/graphiql/examples.json", "application/json"),
        ("/graphiql/schema.graphql", "text/plain"),
    ] {
        let answer = reqwest::get(format!("http://{}{path}", world.address))
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}");
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.contains("default-src 'self'"), "{policy}");
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(kind.starts_with(content_type), "{path}: {kind}");
        let text = answer.text().await.unwrap();
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "{path}"
        );
        assert!(!text.contains("onclick="), "{path} has a script within");
    }
    let answer = Program::default()
        .ask(&world, "{ bank { version } }", Value::Null)
        .await;
    assert_eq!(code(&answer), "none");
}
