//! HTTP: what is no request of GraphQL, or comes from where it must not, or never ends.

use std::time::{Duration, Instant};

use graphql_endpoint::limits::Limits;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::exchange;
use crate::support::{Program, Settings, World};
use crate::{Table, assert_discreet, code};

/// Cases in this table.
const CASES: usize = 70;
/// Shortened for the clients that are slow.
const SLOW: Duration = Duration::from_millis(900);
/// Would take the session's cookie away, were it executed.
const MUTATION: &str = r#"{"query":"mutation { logOut }"}"#;
const QUERY: &str = r#"{"query":"{ bank { companyIban } }"}"#;

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    status: u16,
    /// In the body, where there is one of ours.
    code: Option<&'static str>,
}

struct Parts<'a> {
    method: &'a str,
    path: &'a str,
    host: &'a str,
    headers: &'a str,
    body: &'a [u8],
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Parts {
            method: "POST",
            path: "/graphql",
            host: "127.0.0.1",
            headers: "Content-Type: application/json\r\n",
            body: MUTATION.as_bytes(),
        }
    }
}

impl Parts<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n",
            self.method,
            self.path,
            self.host,
            self.body.len(),
            self.headers
        )
        .into_bytes();
        bytes.extend(self.body);
        bytes
    }
}

fn case(name: &'static str, bytes: Vec<u8>, status: u16, code: Option<&'static str>) -> Case {
    Case {
        name,
        bytes,
        status,
        code,
    }
}

fn bodies() -> Vec<Case> {
    let body = |name, body: &[u8]| {
        let parts = Parts {
            body,
            ..Parts::default()
        };
        case(name, parts.bytes(), 400, Some("BAD_REQUEST"))
    };
    let utf16: Vec<u8> = MUTATION.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let batch = |count: usize| format!("[{}]", vec![MUTATION; count].join(","));
    vec![
        body("no body", b""),
        body("an empty object", b"{}"),
        body("an empty list", b"[]"),
        body("null", b"null"),
        body("a text", b"\"x\""),
        body("a number", b"1"),
        body("a truncated object", &MUTATION.as_bytes()[..20]),
        body(
            "something after the object",
            &[MUTATION, "x"].concat().into_bytes(),
        ),
        body(
            "a byte order mark",
            &["\u{feff}", MUTATION].concat().into_bytes(),
        ),
        body("NUL bytes", &[b"\0\0", MUTATION.as_bytes()].concat()),
        body("UTF-16", &utf16),
        body("no UTF-8", b"{\"query\":\"\xff\xfe\"}"),
        body(
            "a name twice",
            br#"{"query":"{a}","query":"mutation { logOut }"}"#,
        ),
        body("lists 10,000 deep", "[".repeat(10_000).as_bytes()),
        body("objects 10,000 deep", "{\"a\":".repeat(10_000).as_bytes()),
        body("a lone half of a pair", br#"{"query":"\ud800"}"#),
        body("a batch of one", batch(1).as_bytes()),
        body("a batch of two", batch(2).as_bytes()),
        body("a batch of a thousand", batch(1_000).as_bytes()),
        body(
            "no document, but the hash of one",
            br#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}"#,
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let large = format!("{MUTATION}{}", " ".repeat(64 * 1024));
    let extensions = format!(
        r#"{{"query":"mutation {{ logOut }}","extensions":{{"x":"{}"}}}}"#,
        "x".repeat(1024 * 1024)
    );
    let with = |headers: &str, body: &[u8]| {
        let parts = Parts {
            headers,
            body,
            ..Parts::default()
        };
        parts.bytes()
    };
    let json = "Content-Type: application/json\r\n";
    let many = (0..100).map(|number| format!("X-{number}: 1\r\n"));
    let many = format!("{json}{}", many.collect::<String>());
    let long = format!("{json}X: {}\r\n", "x".repeat(64 * 1024));
    let mut endless = b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
        Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..100 {
        endless.extend(b"400\r\n");
        endless.extend([b' '; 0x400]);
        endless.extend(b"\r\n");
    }
    let length = |length: &str| {
        format!(
            "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{json}\
             Content-Length: {length}\r\n\r\n{MUTATION}"
        )
        .into_bytes()
    };
    vec![
        case(
            "a body of more than 64 KiB",
            with(json, large.as_bytes()),
            413,
            Some("TOO_LARGE"),
        ),
        case(
            "extensions of a megabyte",
            with(json, extensions.as_bytes()),
            413,
            Some("TOO_LARGE"),
        ),
        case("an endless body", endless, 413, Some("TOO_LARGE")),
        case(
            "a length that is too short",
            length("10"),
            400,
            Some("BAD_REQUEST"),
        ),
        case(
            "a length that is too long",
            length("1000"),
            408,
            Some("BAD_REQUEST"),
        ),
        case("a length that is none", length("-1"), 400, None),
        case(
            "a body that must be inflated",
            with(
                &format!("{json}Content-Encoding: gzip\r\n"),
                b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
            ),
            415,
            Some("BAD_REQUEST"),
        ),
        case(
            "a hundred headers",
            with(&many, QUERY.as_bytes()),
            431,
            None,
        ),
        case(
            "a header of 64 KiB",
            with(&long, QUERY.as_bytes()),
            431,
            None,
        ),
    ]
}

fn content_types() -> Vec<Case> {
    let of = |name, content_type: &str, status| {
        let headers = if content_type.is_empty() {
            String::new()
        } else {
            format!("Content-Type: {content_type}\r\n")
        };
        let parts = Parts {
            headers: &headers,
            ..Parts::default()
        };
        let code = (status != 200).then_some("BAD_REQUEST");
        case(name, parts.bytes(), status, code)
    };
    vec![
        of("no content type", "", 415),
        of("text", "text/plain", 415),
        of("a form", "application/x-www-form-urlencoded", 415),
        of("a form of parts", "multipart/form-data; boundary=x", 415),
        of("a document without JSON", "application/graphql", 415),
        of(
            "JSON in another charset",
            "application/json; charset=utf-16",
            415,
        ),
        of("nearly JSON", "application/jsonp", 415),
    ]
}

fn methods_and_paths() -> Vec<Case> {
    let by = |name, method: &str, path: &str, status| {
        let parts = Parts {
            method,
            path,
            ..Parts::default()
        };
        case(name, parts.bytes(), status, None)
    };
    let query = "/graphql?query=%7Bbank%7BcompanyIban%7D%7D";
    let mutation = "/graphql?query=mutation%7BlogOut%7D";
    vec![
        by("GET with a query", "GET", query, 405),
        by("GET with a mutation", "GET", mutation, 405),
        by("HEAD", "HEAD", "/graphql", 405),
        by("PUT", "PUT", "/graphql", 405),
        by("DELETE", "DELETE", "/graphql", 405),
        by("TRACE", "TRACE", "/graphql", 405),
        by("a method that is none", "GRAPHQL", "/graphql", 405),
        by("a doubled slash", "POST", "//graphql", 404),
        by("a slash at the end", "POST", "/graphql/", 404),
        by("an unknown path", "POST", "/secret", 404),
        by(
            "a way out of the folder",
            "GET",
            "/../../../etc/passwd",
            404,
        ),
        by(
            "an encoded way out of the folder",
            "GET",
            "/%2e%2e/%2e%2e/etc/passwd",
            404,
        ),
    ]
}

fn origins(address: &str) -> Vec<Case> {
    let (_, port) = address.rsplit_once(':').unwrap();
    let from = |name, host: &str, origin: &str| {
        let headers = format!("Content-Type: application/json\r\nOrigin: {origin}\r\n");
        let parts = Parts {
            host,
            headers: &headers,
            ..Parts::default()
        };
        case(name, parts.bytes(), 403, Some("FORBIDDEN"))
    };
    vec![
        from("the origin null", address, "null"),
        from("a foreign origin", address, "http://evil.example"),
        from(
            "an origin that ends like ours",
            address,
            &format!("http://evil.{address}"),
        ),
        from(
            "an origin that begins like ours",
            address,
            &format!("http://{address}.evil.example"),
        ),
        from(
            "the origin of another port",
            address,
            &format!("http://127.0.0.1:1{port}"),
        ),
        from("an origin without scheme", address, address),
        from(
            "a foreign name that leads to us",
            "evil.example:8181",
            "http://evil.example:8181",
        ),
    ]
}

impl Case {
    async fn run(self, world: &World) -> usize {
        let name = self.name;
        let answer = exchange(&world.address, &self.bytes).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(status, self.status.to_string(), "{name}: {answer:.300}");
        if let Some(code) = self.code {
            assert!(answer.contains(&format!("\"{code}\"")), "{name}: {answer}");
        }
        let head = answer.to_ascii_lowercase();
        assert!(!head.contains("set-cookie"), "{name} was executed");
        assert!(!head.contains("access-control"), "{name} allows an origin");
        assert_discreet(name, &answer);
        1
    }
}

/// Cases that need more than one line. Each returns how many cases it is.
mod special {
    use super::*;

    pub(super) async fn what_is_fine_is_answered(world: &World) -> usize {
        let address = &world.address;
        let ours = format!("Origin: http://{address}\r\nContent-Type: application/json\r\n");
        let fine = [
            "Content-Type: application/json; charset=utf-8\r\n",
            "Content-Type: APPLICATION/JSON\r\nAccept: application/graphql-response+json\r\n",
            &ours,
        ];
        for headers in fine {
            let parts = Parts {
                host: address,
                headers,
                body: QUERY.as_bytes(),
                ..Parts::default()
            };
            let answer = exchange(address, &parts.bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{headers}: {answer}");
            assert!(answer.contains("NL66OPEN0000000000"), "{headers}: {answer}");
        }
        fine.len()
    }

    pub(super) async fn a_foreign_page_is_told_nothing_before_it_sends(world: &World) -> usize {
        let parts = Parts {
            method: "OPTIONS",
            headers: "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n",
            body: b"",
            ..Parts::default()
        };
        let answer = exchange(&world.address, &parts.bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        assert!(
            !answer.to_ascii_lowercase().contains("access-control"),
            "{answer}"
        );
        1
    }

    pub(super) async fn two_requests_in_one_go_get_two_answers(world: &World) -> usize {
        let keep = |connection: &str| {
            format!(
                "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: {connection}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{QUERY}",
                QUERY.len()
            )
        };
        let both = format!("{}{}", keep("keep-alive"), keep("close"));
        let answer = exchange(&world.address, both.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
        1
    }

    /// A body whose end two servers would see at different places.
    pub(super) async fn a_smuggled_request_is_not_executed(world: &World) -> usize {
        let smuggled = format!(
            "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{MUTATION}",
            MUTATION.len()
        );
        let mut cases = 0;
        for framing in [
            format!(
                "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
                smuggled.len() + 5
            ),
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n".to_owned(),
            "Content-Length: 4\r\nContent-Length: 5\r\n".to_owned(),
            "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        ] {
            let request = format!(
                "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
                 Content-Type: application/json\r\n{framing}\r\n0\r\n\r\n{smuggled}"
            );
            let answer = exchange(&world.address, request.as_bytes()).await;
            assert!(!answer.contains("set-cookie"), "{framing}: {answer}");
            assert!(
                answer.matches("HTTP/1.1").count() <= 1,
                "{framing}: {answer}"
            );
            cases += 1;
        }
        cases
    }

    pub(super) async fn the_second_version_is_refused_without_harm(world: &World) -> usize {
        let answer = exchange(&world.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        1
    }

    pub(super) async fn a_client_that_asks_first_is_told_to_go_on(world: &World) -> usize {
        let mut stream = TcpStream::connect(&world.address).await.unwrap();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            QUERY.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut word = [0; 12];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"HTTP/1.1 100");
        stream.write_all(QUERY.as_bytes()).await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert!(rest.contains("HTTP/1.1 200"), "{rest}");
        1
    }

    pub(super) async fn slow_clients_are_closed_in_time(world: &World) -> usize {
        let head =
            "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
        let body = format!("{head}Content-Length: {}\r\n\r\n{{", MUTATION.len());
        for beginning in [head, &body] {
            let started = Instant::now();
            let answer = exchange(&world.address, beginning.as_bytes()).await;
            let took = started.elapsed();
            assert!(took >= SLOW / 2 && took < SLOW * 5, "{took:?}: {answer}");
            assert!(!answer.contains("200 OK"), "{answer}");
        }
        2
    }

    pub(super) async fn an_address_that_is_claimed_is_not_believed(world: &World) -> usize {
        let mut limited = false;
        for number in 0..8 {
            let body = json!({ "query": "mutation { logIn(input: { userName: \"forwarded\", \
                password: \"wrong wrong wrong\" }) { sessionToken } }" })
            .to_string();
            let headers = format!(
                "Content-Type: application/json\r\nX-Forwarded-For: 10.0.0.{number}\r\n\
                 Forwarded: for=10.0.0.{number}\r\n"
            );
            let parts = Parts {
                headers: &headers,
                body: body.as_bytes(),
                ..Parts::default()
            };
            let answer = exchange(&world.address, &parts.bytes()).await;
            limited |= answer.contains("RATE_LIMITED");
        }
        assert!(limited, "each try counted as another address");
        1
    }

    pub(super) async fn every_answer_has_its_headers(world: &World) -> usize {
        let answer = exchange(&world.address, &Parts::default().bytes()).await;
        for header in [
            "content-security-policy: default-src 'self'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "x-frame-options: DENY",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(header), "{header}: {answer}");
        }
        1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_that_is_none_has_its_answer_and_nothing_of_it_is_executed() {
    let limits = Limits {
        head_wait: SLOW,
        body_wait: SLOW,
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let world = World::start_with("requests", settings).await;
    let mut table = Table::default();
    let tables = [
        bodies(),
        sizes(),
        content_types(),
        methods_and_paths(),
        origins(&world.address),
    ];
    for case in tables.into_iter().flatten() {
        table.run(case.name, case.run(&world)).await;
    }
    table
        .run(
            "what_is_fine_is_answered",
            special::what_is_fine_is_answered(&world),
        )
        .await;
    table
        .run(
            "a_foreign_page_is_told_nothing_before_it_sends",
            special::a_foreign_page_is_told_nothing_before_it_sends(&world),
        )
        .await;
    table
        .run(
            "two_requests_in_one_go_get_two_answers",
            special::two_requests_in_one_go_get_two_answers(&world),
        )
        .await;
    table
        .run(
            "a_smuggled_request_is_not_executed",
            special::a_smuggled_request_is_not_executed(&world),
        )
        .await;
    table
        .run(
            "the_second_version_is_refused_without_harm",
            special::the_second_version_is_refused_without_harm(&world),
        )
        .await;
    table
        .run(
            "a_client_that_asks_first_is_told_to_go_on",
            special::a_client_that_asks_first_is_told_to_go_on(&world),
        )
        .await;
    table
        .run(
            "slow_clients_are_closed_in_time",
            special::slow_clients_are_closed_in_time(&world),
        )
        .await;
    table
        .run(
            "an_address_that_is_claimed_is_not_believed",
            special::an_address_that_is_claimed_is_not_believed(&world),
        )
        .await;
    table
        .run(
            "every_answer_has_its_headers",
            special::every_answer_has_its_headers(&world),
        )
        .await;
    table.end(CASES);
    let answer = Program::default()
        .ask(&world, "{ bank { companyIban } }", Value::Null)
        .await;
    assert_eq!(code(&answer), "none", "the gateway lives: {answer}");
}
