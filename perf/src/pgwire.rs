//! Counts what goes over a connection to PostgreSQL by reading its protocol.
//!
//! A *round trip* is counted when the client begins to send while nothing it sent before
//! is unanswered: a pipeline of ten statements is one, ten statements one after the other
//! are ten. Only message types, lengths and a few first bytes are looked at.

use serde::Serialize;

/// First bytes of a message's body that are kept.
const KEPT_BYTES: usize = 64;
/// Codes that stand where a protocol version would: requests for encryption.
const ENCRYPTION_REQUESTS: [u32; 2] = [80_877_103, 80_877_104];

/// A transaction that inserted something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Rows of its first insert: outcomes, so the size of the batch.
    pub rows: u64,
    /// From its begin to its end. A statement that its client sends while it is still busy
    /// with those before, and so after they are answered, looks like one more; on a busy
    /// machine that happens now and then, hence the middle of many is the figure.
    pub round_trips: u64,
}

/// What has gone over one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Times the client waited for an answer before it went on.
    pub round_trips: u64,
    /// Statements executed, with those of simple queries.
    pub statements: u64,
    /// Statements parsed and planned anew (`Parse` messages).
    pub parses: u64,
    /// Transactions that were begun and ended.
    pub transactions: u64,
    /// Each of those that inserted something.
    #[serde(skip)]
    pub batches: Vec<Batch>,
    /// Bytes sent by the client.
    pub bytes: u64,
}

impl Traffic {
    /// What was added since an earlier copy.
    #[must_use]
    pub fn since(&self, earlier: &Traffic) -> Traffic {
        Traffic {
            round_trips: self.round_trips - earlier.round_trips,
            statements: self.statements - earlier.statements,
            parses: self.parses - earlier.parses,
            transactions: self.transactions - earlier.transactions,
            batches: self.batches[earlier.batches.len()..].to_vec(),
            bytes: self.bytes - earlier.bytes,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Traffic) -> Traffic {
        self.round_trips += other.round_trips;
        self.statements += other.statements;
        self.parses += other.parses;
        self.transactions += other.transactions;
        self.batches.extend(&other.batches);
        self.bytes += other.bytes;
        self
    }
}

/// Reads both directions of one connection.
#[derive(Debug)]
pub struct Connection {
    client: Messages,
    server: Messages,
    /// Requests that the server has not answered to the end.
    unanswered: u64,
    /// Messages were sent that no Sync has ended yet.
    is_within_request: bool,
    in_transaction: bool,
    /// Of the first insert of the transaction.
    rows: Option<u64>,
    started: bool,
    /// Since no transaction was open.
    round_trips: u64,
    traffic: Traffic,
    /// As the client named itself.
    pub application: String,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection {
            client: Messages::untyped(),
            server: Messages::typed(),
            unanswered: 0,
            is_within_request: false,
            in_transaction: false,
            rows: None,
            started: false,
            round_trips: 0,
            traffic: Traffic::default(),
            application: String::new(),
        }
    }
}

impl Connection {
    /// So far.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Takes in bytes the client sent; before they are passed on.
    pub fn from_client(&mut self, bytes: &[u8]) {
        self.traffic.bytes += bytes.len() as u64;
        let is_new = !self.is_within_request && self.client.between_messages();
        if self.started && self.unanswered == 0 && is_new {
            self.traffic.round_trips += 1;
            self.round_trips += 1;
        }
        let mut rest = bytes;
        while let Some(message) = self.client.next(&mut rest) {
            self.is_within_request = !matches!(message.kind, b'Q' | b'S' | b'p' | 0);
            match message.kind {
                // Query, and Sync, which ends a group of others.
                b'Q' => {
                    self.traffic.statements += 1;
                    self.unanswered += 1;
                }
                b'S' => self.unanswered += 1,
                b'E' => self.traffic.statements += 1,
                b'P' => self.traffic.parses += 1,
                0 => self.start_up(&message.head),
                _ => {}
            }
        }
    }

    fn start_up(&mut self, head: &[u8]) {
        let code = head
            .first_chunk()
            .map_or(0, |code| u32::from_be_bytes(*code));
        if ENCRYPTION_REQUESTS.contains(&code) {
            self.server.one_byte();
            return;
        }
        self.application = application_in(head);
        self.client = Messages::typed();
    }

    /// Takes in bytes the server sent; before they are passed on.
    pub fn from_server(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(message) = self.server.next(&mut rest) {
            match message.kind {
                b'Z' => self.ready(message.head.first().copied()),
                b'C' if self.in_transaction && self.rows.is_none() => {
                    self.rows = rows_inserted(&message.head);
                }
                _ => {}
            }
        }
    }

    fn ready(&mut self, status: Option<u8>) {
        // The first one ends the start of the connection and answers no request.
        if !self.started {
            self.started = true;
            return;
        }
        self.unanswered = self.unanswered.saturating_sub(1);
        let in_transaction = status != Some(b'I');
        if self.in_transaction && !in_transaction {
            self.traffic.transactions += 1;
            if let Some(rows) = self.rows.take() {
                let round_trips = self.round_trips;
                self.traffic.batches.push(Batch { rows, round_trips });
            }
        }
        if !in_transaction {
            self.round_trips = 0;
        }
        self.in_transaction = in_transaction;
    }
}

fn application_in(head: &[u8]) -> String {
    let mut words = head.get(4..).unwrap_or_default().split(|byte| *byte == 0);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        if name == b"application_name" {
            return String::from_utf8_lossy(value).into_owned();
        }
    }
    String::new()
}

fn rows_inserted(tag: &[u8]) -> Option<u64> {
    let tag = std::str::from_utf8(tag).ok()?.trim_end_matches('\0');
    tag.strip_prefix("INSERT 0 ")?.parse().ok()
}

struct Message {
    /// 0 for the first message of a client, which has no type.
    kind: u8,
    head: Vec<u8>,
}

/// Cuts a stream of bytes into messages, wherever the pieces end.
#[derive(Debug)]
struct Messages {
    has_kind: bool,
    single_bytes: u32,
    header: Vec<u8>,
    head: Vec<u8>,
    /// Of the body, not yet seen; `None` while the header is not complete.
    missing: Option<usize>,
}

impl Messages {
    fn typed() -> Messages {
        Messages {
            has_kind: true,
            single_bytes: 0,
            header: Vec::with_capacity(5),
            head: Vec::with_capacity(KEPT_BYTES),
            missing: None,
        }
    }

    fn untyped() -> Messages {
        Messages {
            has_kind: false,
            ..Messages::typed()
        }
    }

    /// The next byte is no message: the answer to a request for encryption.
    fn one_byte(&mut self) {
        self.single_bytes += 1;
    }

    fn between_messages(&self) -> bool {
        self.header.is_empty() && self.missing.is_none()
    }

    fn next(&mut self, bytes: &mut &[u8]) -> Option<Message> {
        while self.single_bytes > 0 && !bytes.is_empty() {
            *bytes = &bytes[1..];
            self.single_bytes -= 1;
        }
        let header_bytes = if self.has_kind { 5 } else { 4 };
        let missing = match self.missing {
            Some(missing) => missing,
            None => {
                let wanted = header_bytes - self.header.len();
                let taken = wanted.min(bytes.len());
                self.header.extend_from_slice(&bytes[..taken]);
                *bytes = &bytes[taken..];
                let length = self.header.last_chunk::<4>()?;
                if self.header.len() < header_bytes {
                    return None;
                }
                // The length counts itself.
                let length = u32::from_be_bytes(*length).saturating_sub(4);
                usize::try_from(length).unwrap_or(0)
            }
        };
        let taken = missing.min(bytes.len());
        let kept = taken.min(KEPT_BYTES - self.head.len());
        self.head.extend_from_slice(&bytes[..kept]);
        *bytes = &bytes[taken..];
        self.missing = Some(missing - taken);
        if missing > taken {
            return None;
        }
        let kind = if self.has_kind { self.header[0] } else { 0 };
        self.missing = None;
        self.header.clear();
        Some(Message {
            kind,
            head: std::mem::take(&mut self.head),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        let mut bytes = vec![kind];
        bytes.extend(length.to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn startup() -> Vec<u8> {
        let body = b"\0\x03\0\0user\0me\0application_name\0command-handler\0\0";
        let length = u32::try_from(body.len() + 4).unwrap();
        [&length.to_be_bytes()[..], body].concat()
    }

    fn ready(status: u8) -> Vec<u8> {
        message(b'Z', &[status])
    }

    /// Parse (when `parse`), Bind, Execute and Sync of one statement.
    fn statement(parse: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        if parse {
            bytes.extend(message(b'P', b"name\0select 1\0\0\0"));
        }
        bytes.extend(message(b'B', &[0; 300]));
        bytes.extend(message(b'E', &[0; 5]));
        bytes.extend(message(b'S', b""));
        bytes
    }

    fn given_a_started_connection() -> Connection {
        let mut connection = Connection::default();
        connection.from_client(&startup());
        connection.from_server(&message(b'R', &[0; 4]));
        connection.from_server(&ready(b'I'));
        connection
    }

    /// Begin and two statements in one go; then three and a commit in another.
    fn a_batch_in_two_round_trips(connection: &mut Connection, piece: usize) {
        let first = [
            message(b'Q', b"begin\0"),
            statement(false),
            statement(false),
        ]
        .concat();
        for bytes in first.chunks(piece) {
            connection.from_client(bytes);
        }
        let answers = [ready(b'T'), ready(b'T'), ready(b'T')].concat();
        for bytes in answers.chunks(piece) {
            connection.from_server(bytes);
        }
        let second = [
            statement(false),
            statement(false),
            message(b'Q', b"commit\0"),
        ]
        .concat();
        for bytes in second.chunks(piece) {
            connection.from_client(bytes);
        }
        let answers = [
            message(b'C', b"INSERT 0 128\0"),
            ready(b'T'),
            message(b'C', b"INSERT 0 256\0"),
            ready(b'T'),
            message(b'C', b"COMMIT\0"),
            ready(b'I'),
        ]
        .concat();
        for bytes in answers.chunks(piece) {
            connection.from_server(bytes);
        }
    }

    #[test]
    fn given_a_pipelined_batch_then_it_is_two_round_trips_however_the_bytes_are_cut() {
        for piece in [1, 3, 7, 64, 100_000] {
            let mut connection = given_a_started_connection();
            a_batch_in_two_round_trips(&mut connection, piece);
            a_batch_in_two_round_trips(&mut connection, piece);
            let traffic = connection.traffic();
            assert_eq!(traffic.round_trips, 4, "pieces of {piece}");
            assert_eq!(traffic.transactions, 2);
            let batch = Batch {
                rows: 128,
                round_trips: 2,
            };
            assert_eq!(traffic.batches, [batch, batch]);
            assert_eq!((traffic.statements, traffic.parses), (12, 0));
        }
    }

    #[test]
    fn given_statements_one_after_the_other_then_each_is_a_round_trip() {
        let mut connection = given_a_started_connection();
        assert_eq!(connection.application, "command-handler");
        for _ in 0..5 {
            connection.from_client(&statement(false));
            connection.from_server(&ready(b'I'));
        }
        assert_eq!(connection.traffic().round_trips, 5);
        assert_eq!(connection.traffic().transactions, 0);
    }

    #[test]
    fn given_a_statement_that_is_prepared_anew_then_its_parse_is_counted() {
        let mut connection = given_a_started_connection();
        let before = connection.traffic().clone();
        connection.from_client(&statement(true));
        connection.from_server(&ready(b'I'));
        assert_eq!(connection.traffic().since(&before).parses, 1);
    }

    #[test]
    fn given_a_second_part_sent_while_the_first_is_answered_then_it_is_one_round_trip() {
        let mut connection = given_a_started_connection();
        connection.from_client(&[statement(false), statement(false)].concat());
        connection.from_server(&ready(b'T'));
        connection.from_client(&statement(false));
        connection.from_server(&[ready(b'T'), ready(b'I')].concat());
        assert_eq!(connection.traffic().round_trips, 1);
    }

    #[test]
    fn given_a_request_for_encryption_that_is_refused_then_the_start_is_still_found() {
        let mut connection = Connection::default();
        let request = [&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes()].concat();
        connection.from_client(&request);
        connection.from_server(b"N");
        connection.from_client(&startup());
        connection.from_server(&ready(b'I'));
        assert_eq!(connection.application, "command-handler");
        connection.from_client(&statement(false));
        assert_eq!(connection.traffic().round_trips, 1);
    }
}
