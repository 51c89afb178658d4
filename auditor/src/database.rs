//! A database, read in one snapshot, row by row and without keeping any.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};
use topology::postgres;

use crate::report::CannotCheck;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of COPY in binary form: signature, flags, length of what is to be skipped.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const FLAGS_BYTES: usize = 4;
/// Most columns of a question.
const COLUMNS_MAX: usize = 16;
/// Rows are counted for the progress after so many.
const COUNTED_EACH: u64 = 4_096;

/// A connection.
pub(crate) struct Database {
    client: Client,
    name: &'static str,
}

/// One row of a copy: the bytes of its columns.
pub(crate) struct Columns<'a> {
    columns: [Option<&'a [u8]>; COLUMNS_MAX],
    database: &'static str,
}

impl Database {
    /// Connects, and takes a snapshot that all later questions are answered from.
    pub(crate) async fn snapshot(url: &str, name: &'static str) -> Result<Database, CannotCheck> {
        let database = Database::connect(url, name).await?;
        database
            .execute("begin transaction isolation level repeatable read, read only")
            .await?;
        // The first question is what takes the snapshot.
        database.query("select 1", &[]).await?;
        Ok(database)
    }

    /// Connects; each question sees what is committed then.
    pub(crate) async fn connect(url: &str, name: &'static str) -> Result<Database, CannotCheck> {
        let refused = |source| CannotCheck::Database {
            database: name,
            action: "connect".to_owned(),
            source,
        };
        let mut config: tokio_postgres::Config = url.parse().map_err(refused)?;
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .application_name("bank-auditor");
        let (client, connection) = postgres::connect(&config).await.map_err(refused)?;
        tokio::spawn(connection);
        Ok(Database { client, name })
    }

    fn failed(&self, action: &str) -> impl Fn(tokio_postgres::Error) -> CannotCheck + use<> {
        let (database, action) = (self.name, action.to_owned());
        move |source| CannotCheck::Database {
            database,
            action: action.clone(),
            source,
        }
    }

    async fn execute(&self, statement: &str) -> Result<(), CannotCheck> {
        self.client
            .batch_execute(statement)
            .await
            .map_err(self.failed(statement))
    }

    /// A question with a small answer.
    pub(crate) async fn query(
        &self,
        question: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, CannotCheck> {
        self.client
            .query(question, parameters)
            .await
            .map_err(self.failed(question))
    }

    /// Gives every row of the answer to `each`; of any number of rows.
    pub(crate) async fn each_row(
        &self,
        question: &str,
        counter: &AtomicU64,
        mut each: impl FnMut(&Columns<'_>) -> Result<(), CannotCheck>,
    ) -> Result<u64, CannotCheck> {
        let failed = self.failed(question);
        let copy = format!("copy ({question}) to stdout (format binary)");
        let stream = self.client.copy_out(&copy).await.map_err(&failed)?;
        let mut stream = pin!(stream);
        let mut reader = CopyReader {
            pending: Vec::new(),
            is_begun: false,
            is_over: false,
            rows: 0,
            database: self.name,
        };
        let mut counted = 0;
        while let Some(piece) = stream.try_next().await.map_err(&failed)? {
            reader.take(&piece, &mut each)?;
            if reader.rows - counted >= COUNTED_EACH {
                counter.fetch_add(reader.rows - counted, Ordering::Relaxed);
                counted = reader.rows;
                // Others on this thread want to go on too.
                tokio::task::yield_now().await;
            }
        }
        counter.fetch_add(reader.rows - counted, Ordering::Relaxed);
        if reader.is_over {
            Ok(reader.rows)
        } else {
            Err(reader.form("the copy ends too soon"))
        }
    }
}

/// Cuts the bytes of a copy into rows.
struct CopyReader {
    pending: Vec<u8>,
    is_begun: bool,
    is_over: bool,
    rows: u64,
    database: &'static str,
}

impl CopyReader {
    fn form(&self, what: &str) -> CannotCheck {
        CannotCheck::Form {
            database: self.database,
            what: what.to_owned(),
        }
    }

    fn take(
        &mut self,
        piece: &[u8],
        each: &mut impl FnMut(&Columns<'_>) -> Result<(), CannotCheck>,
    ) -> Result<(), CannotCheck> {
        // PostgreSQL sends a row a piece, but does not promise to.
        let joined;
        let mut bytes = if self.pending.is_empty() {
            piece
        } else {
            self.pending.extend_from_slice(piece);
            joined = std::mem::take(&mut self.pending);
            &joined
        };
        if !self.is_begun {
            let Some(rest) = begin(bytes) else {
                self.pending = bytes.to_vec();
                return Ok(());
            };
            self.is_begun = true;
            bytes = rest;
        }
        while !self.is_over {
            let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else {
                break;
            };
            let count = i16::from_be_bytes(*count);
            if count < 0 {
                self.is_over = true;
                break;
            }
            let mut row = Columns {
                columns: [None; COLUMNS_MAX],
                database: self.database,
            };
            let places = row
                .columns
                .iter_mut()
                .take(usize::from(count.unsigned_abs()));
            let mut is_whole = true;
            for place in places {
                match column(rest) {
                    Some((value, behind)) => {
                        *place = value;
                        rest = behind;
                    }
                    None => {
                        is_whole = false;
                        break;
                    }
                }
            }
            if !is_whole {
                break;
            }
            bytes = rest;
            self.rows += 1;
            each(&row)?;
        }
        self.pending = bytes.to_vec();
        Ok(())
    }
}

fn begin(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(SIGNATURE)?.get(FLAGS_BYTES..)?;
    let (skipped, rest) = rest.split_first_chunk()?;
    rest.get(usize::try_from(u32::from_be_bytes(*skipped)).ok()?..)
}

type Cell<'a> = Option<&'a [u8]>;

fn column(bytes: &[u8]) -> Option<(Cell<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) => {
            let (value, rest) = rest.split_at_checked(length)?;
            Some((Some(value), rest))
        }
        Err(_) => Some((None, rest)),
    }
}

impl Columns<'_> {
    fn form(&self, at: usize, what: &str) -> CannotCheck {
        CannotCheck::Form {
            database: self.database,
            what: format!("column {at} is {what}"),
        }
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8], CannotCheck> {
        self.columns[at].ok_or_else(|| self.form(at, "null"))
    }

    pub(crate) fn text(&self, at: usize) -> Result<&str, CannotCheck> {
        std::str::from_utf8(self.bytes(at)?).map_err(|_| self.form(at, "no text"))
    }

    pub(crate) fn maybe_text(&self, at: usize) -> Result<Option<&str>, CannotCheck> {
        match self.columns[at] {
            Some(_) => self.text(at).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn number(&self, at: usize) -> Result<i64, CannotCheck> {
        let bytes = self.bytes(at)?;
        match bytes.len() {
            8 => bytes.try_into().map(i64::from_be_bytes),
            4 => bytes.try_into().map(i32::from_be_bytes).map(i64::from),
            _ => return Err(self.form(at, "no number")),
        }
        .map_err(|_| self.form(at, "no number"))
    }

    pub(crate) fn maybe_number(&self, at: usize) -> Result<Option<i64>, CannotCheck> {
        match self.columns[at] {
            Some(_) => self.number(at).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn uuid(&self, at: usize) -> Result<u128, CannotCheck> {
        let bytes = self.bytes(at)?;
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| self.form(at, "no uuid"))?;
        Ok(u128::from_be_bytes(bytes))
    }

    pub(crate) fn maybe_uuid(&self, at: usize) -> Result<u128, CannotCheck> {
        match self.columns[at] {
            Some(_) => self.uuid(at),
            None => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied() -> Vec<u8> {
        let mut bytes = [SIGNATURE, &[0; 8]].concat();
        for row in 0..3_i64 {
            bytes.extend_from_slice(&3_i16.to_be_bytes());
            bytes.extend_from_slice(&8_i32.to_be_bytes());
            bytes.extend_from_slice(&row.to_be_bytes());
            bytes.extend_from_slice(&(-1_i32).to_be_bytes());
            bytes.extend_from_slice(&4_i32.to_be_bytes());
            bytes.extend_from_slice(b"text");
        }
        bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        bytes
    }

    #[test]
    fn given_a_copy_cut_into_pieces_anywhere_when_read_then_each_row_comes_once() {
        let bytes = copied();
        for size in [1, 2, 7, 30, bytes.len()] {
            let mut reader = CopyReader {
                pending: Vec::new(),
                is_begun: false,
                is_over: false,
                rows: 0,
                database: "test",
            };
            let mut rows = Vec::new();
            for piece in bytes.chunks(size) {
                reader
                    .take(piece, &mut |row| {
                        assert_eq!(row.maybe_text(1).unwrap(), None);
                        assert_eq!(row.text(2).unwrap(), "text");
                        rows.push(row.number(0).unwrap());
                        Ok(())
                    })
                    .unwrap();
            }
            assert!(reader.is_over);
            assert_eq!(rows, [0, 1, 2], "pieces of {size}");
        }
    }
}
