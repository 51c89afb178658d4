//! GraphQL documents: what is none, what asks for too much, what asks for what is not shown.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Program, Settings, World};
use crate::{Table, assert_discreet, code};

/// Cases in this table.
const CASES: usize = 86;
/// Longest time until a document that asks for too much is refused.
const REFUSED_WITHIN: Duration = Duration::from_millis(50);

struct Case {
    name: &'static str,
    query: String,
    variables: Value,
    operation: Option<&'static str>,
    code: &'static str,
}

fn of(name: &'static str, query: impl Into<String>, code: &'static str) -> Case {
    Case {
        name,
        query: query.into(),
        variables: Value::Null,
        operation: None,
        code,
    }
}

fn with(name: &'static str, query: &str, variables: Value, code: &'static str) -> Case {
    Case {
        variables,
        ..of(name, query, code)
    }
}

fn chosen(name: &'static str, query: &str, operation: &'static str) -> Case {
    Case {
        operation: Some(operation),
        ..of(name, query, "VALIDATION")
    }
}

fn no_grammar() -> Vec<Case> {
    [
        ("nothing", ""),
        ("blanks", "  \n,,, "),
        ("a comment", "# { bank { version } }"),
        ("an open brace", "{"),
        ("a closed brace", "}"),
        ("an empty selection", "{ }"),
        ("an empty inner selection", "{ bank { } }"),
        ("a name without selection", "query"),
        (
            "an unknown kind of operation",
            "select { bank { version } }",
        ),
        ("an empty list of arguments", "{ account() { iban } }"),
        ("an argument without value", "{ account(iban:) { iban } }"),
        ("an argument without name", "{ account(\"x\") { iban } }"),
        ("an open text", "{ account(iban: \"x) { iban } }"),
        (
            "an open block of text",
            "{ account(iban: \"\"\"x) { iban } }",
        ),
        ("an unknown escape", "{ account(iban: \"\\q\") { iban } }"),
        (
            "a number with a zero before",
            "{ accounts(first: 01) { totalCount } }",
        ),
        ("a variable without type", "query ($a) { bank { version } }"),
        (
            "a variable of an open list",
            "query ($a: [Int) { bank { version } }",
        ),
        (
            "a variable in a default",
            "query ($a: Int = $b) { accounts(first: $a) { totalCount } }",
        ),
        ("a spread of nothing", "{ ... }"),
        (
            "a fragment without type",
            "{ ...F } fragment F { bank { version } }",
        ),
        ("a directive without name", "{ bank @ { version } }"),
        ("a definition of a type", "type Query { a: Int }"),
        ("a control character", "{ bank\u{7} { version } }"),
    ]
    .map(|(name, query)| of(name, query, "VALIDATION"))
    .into()
}

fn no_meaning() -> Vec<Case> {
    let account = "query ($iban: Iban!) { account(iban: $iban) { iban } }";
    let page = "query ($first: Int) { accounts(first: $first) { totalCount } }";
    let two = "query A { bank { version } } query B { bank { demoMode } }";
    let is = |name, query: &str| of(name, query, "VALIDATION");
    let given = |name, query, variables| with(name, query, variables, "VALIDATION");
    vec![
        is("an unknown field", "{ salaries }"),
        is("a misspelt field", "{ bank { versio } }"),
        is("an unknown argument", "{ bank(all: true) { version } }"),
        is("an unknown type", "query ($a: Salary) { bank { version } }"),
        is("an unknown directive", "{ bank @cached { version } }"),
        is(
            "an unknown value of an enum",
            "{ accounts(order: WEALTH) { totalCount } }",
        ),
        is(
            "an unknown field of an input",
            "mutation { deposit(input: { iban: \"x\" }) { __typename } }",
        ),
        is("an undefined variable", "{ account(iban: $iban) { iban } }"),
        is(
            "a variable nobody uses",
            "query ($a: Int) { bank { version } }",
        ),
        is(
            "a fragment nobody uses",
            "{ bank { version } } fragment F on Bank { version }",
        ),
        is("an undefined fragment", "{ ...F }"),
        is(
            "a fragment on a value",
            "{ ...F } fragment F on Amount { version }",
        ),
        is(
            "a fragment within itself",
            "{ ...F } fragment F on Query { ...F }",
        ),
        is(
            "two fragments within each other",
            "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }",
        ),
        is("a selection of a value", "{ bank { version { major } } }"),
        is("an object without selection", "{ bank }"),
        is("a missing argument", "{ account { iban } }"),
        is(
            "the same argument twice",
            "{ accounts(first: 1, first: 2) { totalCount } }",
        ),
        is(
            "null where it must not be",
            "{ account(iban: null) { iban } }",
        ),
        is("a number as IBAN", "{ account(iban: 7) { iban } }"),
        is(
            "two fields of one name",
            "{ bank: bank { version } bank: me { userName } }",
        ),
        is(
            "two operations without names",
            "{ bank { version } } { bank { version } }",
        ),
        is("two operations and no choice", two),
        chosen("a choice of an unknown operation", two, "C"),
        is(
            "a condition that is none",
            "{ bank @include(if: 1) { version } }",
        ),
        is("a condition without value", "{ bank @skip { version } }"),
        is(
            "a part that is put off",
            "{ ... @defer { bank { version } } }",
        ),
        is(
            "a list that comes in parts",
            "{ bank { demoUsers @stream { role } } }",
        ),
        given("a missing variable", account, json!({})),
        given("null as variable", account, json!({ "iban": null })),
        given("a number as variable", account, json!({ "iban": 7 })),
        given(
            "a list as variable",
            account,
            json!({ "iban": ["NL66OPEN0000000000"] }),
        ),
        given("a text as number", page, json!({ "first": "1" })),
        given("a fraction as number", page, json!({ "first": 1.5 })),
        given(
            "a number beyond 32 bits",
            page,
            json!({ "first": 4_294_967_296_i64 }),
        ),
        given(
            "lists 60 deep as variable",
            account,
            json!({ "iban": nested(60) }),
        ),
        is(
            "a huge number",
            &format!(
                "{{ accounts(first: {}) {{ totalCount }} }}",
                "9".repeat(400)
            ),
        ),
        is(
            "a huge fraction",
            "{ accounts(first: 1e999) { totalCount } }",
        ),
        is(
            "lists 100 deep in the document",
            &format!(
                "{{ account(iban: {}{}) {{ iban }} }}",
                "[".repeat(100),
                "]".repeat(100)
            ),
        ),
        is(
            "a subscription among queries",
            "{ bank { version } } subscription S { transactions(iban: \"x\") { id } }",
        ),
    ]
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

fn too_much() -> Vec<Case> {
    let deep = format!("{}{}", "{ bank ".repeat(9), "}".repeat(9));
    let aliases: String = (0..11).fold(String::new(), |mut text, number| {
        write!(text, "a{number}: version ").unwrap();
        text
    });
    let fragments: String = (0..6).fold(String::new(), |mut text, number| {
        write!(text, "fragment F{number} on Bank {{ version }} ").unwrap();
        text
    });
    let spreads = (0..6).fold(String::new(), |text, number| format!("{text}...F{number} "));
    // Five fragments at most: so each holds the next one a hundred times.
    let bomb = (0..4).fold(String::new(), |text, number| {
        let next = format!("...F{} ", number + 1).repeat(100);
        format!("{text} fragment F{number} on Query {{ {next} }}")
    });
    let bomb = format!("{{ ...F0 }} {bomb} fragment F4 on Query {{ bank {{ version }} }}");
    let doubled = (0..30).fold("{ ...F0 }".to_owned(), |text, number| {
        let next = number + 1;
        format!("{text} fragment F{number} on Query {{ ...F{next} ...F{next} }}")
    });
    let much = |name, query: String| of(name, query, "TOO_COMPLEX");
    let version = |count: usize| format!("{{ bank {{ {} }} }}", "version ".repeat(count));
    vec![
        much("nine levels", deep),
        much("201 fields", version(200)),
        much("eleven aliases", format!("{{ bank {{ {aliases} }} }}")),
        much("six fields at the root", "{ a: bank { version } b: bank { version } c: bank { version } d: bank { version } e: bank { version } f: bank { version } }".to_owned()),
        much("two mutations", "mutation { logOut again: logOut }".to_owned()),
        much("two log-ins under two names", "mutation { a: logIn(input: { userName: \"ann\", password: \"x\" }) { sessionToken } b: logIn(input: { userName: \"ann\", password: \"y\" }) { sessionToken } }".to_owned()),
        much("eleven directives", format!("{{ bank {{ {} }} }}", "version @include(if: true) ".repeat(11))),
        much("six fragments", format!("{{ bank {{ {spreads} }} }} {fragments}")),
        much("2,001 words", format!("{{ bank {{ version }} }} {}", "a ".repeat(2_001))),
        much("a fragment a hundred times, four levels deep", bomb),
        much("a fragment twice, thirty levels deep", doubled),
        much("the same field a thousand times", version(1_000)),
        of("a document of more than 8 KiB", format!("{{ bank {{ version }} }} #{}", "x".repeat(8_192)), "TOO_LARGE"),
        of("a text of 10,000 characters", format!("{{ account(iban: \"{}\") {{ iban }} }}", "x".repeat(10_000)), "TOO_LARGE"),
        with(
            "variables of more than 16 KiB",
            "query ($iban: Iban!) { account(iban: $iban) { iban } }",
            json!({ "iban": "x".repeat(16_385) }),
            "TOO_LARGE",
        ),
        with(
            "a list of 10,000 numbers as variable",
            "query ($iban: Iban!) { account(iban: $iban) { iban } }",
            json!({ "iban": vec![1; 10_000] }),
            "TOO_LARGE",
        ),
    ]
}

fn not_shown() -> Vec<Case> {
    let no = |name, query: &str| of(name, query, "FORBIDDEN");
    vec![
        no("the schema", "{ __schema { types { name } } }"),
        no("a type", "{ __type(name: \"User\") { fields { name } } }"),
        no(
            "the schema under another name",
            "{ bank: __schema { types { name } } }",
        ),
        no(
            "the schema in a fragment",
            "{ ...F } fragment F on Query { __schema { types { name } } }",
        ),
        no(
            "the schema beside something else",
            "{ bank { version } __schema { types { name } } }",
        ),
    ]
}

impl Case {
    async fn run(self, world: &World) -> usize {
        let name = self.name;
        let started = Instant::now();
        let answer = Program::default()
            .send(
                world,
                &json!({ "query": self.query, "variables": self.variables,
                         "operationName": self.operation }),
            )
            .await;
        let took = started.elapsed();
        assert_eq!(code(&answer), self.code, "{name}: {answer}");
        assert!(answer["data"].is_null(), "{name} was executed: {answer}");
        assert_discreet(name, &answer.to_string());
        if self.code.starts_with("TOO_") {
            assert!(took < REFUSED_WITHIN, "{name} took {took:?}");
        }
        1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_document_that_is_none_or_asks_for_too_much_is_refused_before_it_runs() {
    let settings = Settings {
        demo_mode: false,
        ..Settings::default()
    };
    let world = World::start_with("documents", settings).await;
    let mut table = Table::default();
    let tables = [no_grammar(), no_meaning(), too_much(), not_shown()];
    for case in tables.into_iter().flatten() {
        table.run(case.name, case.run(&world)).await;
    }
    table
        .run("a subscription over HTTP", async {
            let query = "subscription { transactions(iban: \"NL66OPEN0000000000\") { id } }";
            let answer = Program::default().ask(&world, query, Value::Null).await;
            assert_eq!(code(&answer), "BAD_REQUEST", "{answer}");
            1
        })
        .await;
    table.end(CASES);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_demo_mode_a_tool_may_ask_for_the_schema() {
    let world = World::start_with("introspection", Settings::default()).await;
    let answer = Program::default()
        .ask(&world, INTROSPECTION, Value::Null)
        .await;
    assert_eq!(code(&answer), "none", "{answer}");
    let types = answer["data"]["__schema"]["types"].as_array().unwrap();
    assert!(types.iter().any(|it| it["name"] == "Transaction"));
}

/// As GraphiQL sends it.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description
    queryType { name kind } mutationType { name kind } subscriptionType { name kind }
    types { ...FullType }
    directives { name description isRepeatable locations
        args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL
    fields(includeDeprecated: true) { name description
        args(includeDeprecated: true) { ...InputValue }
        type { ...TypeRef } isDeprecated deprecationReason }
    inputFields(includeDeprecated: true) { ...InputValue }
    interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue
    isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name } } } } } } } } } }";
