//! A look: how far everything is, without reading any of it. What nobody has written to
//! since an audit need not be audited again.

use crate::database::Database;
use crate::kafka::{Kafka, Offsets};
use crate::report::CannotCheck;
use crate::{Sources, cut};

/// Offsets, debts, how many rows were ever added, changed and removed, and the file they are
/// in, which is another one after a TRUNCATE; the same in both databases but for the names of
/// the tables. Counters begin again when PostgreSQL crashes, which only makes the next audit
/// come sooner.
const HANDLER: &str = "\
    select format('%s %s %s', topic, partition, next_offset) from consumer_offset \
    union all select format('debt %s', debt_id) from emission_debt \
    union all select concat_ws(' ', relname, n_tup_ins, n_tup_upd, n_tup_del, \
            pg_relation_filenode(relid)) \
        from pg_stat_user_tables where relname in ('account', 'outcome', 'ledger_entry') \
    order by 1";
const GATEWAY: &str = "\
    select format('%s %s %s', topic, partition, next_offset) from projection_offset \
    union all select concat_ws(' ', relname, n_tup_ins, n_tup_upd, n_tup_del, \
            pg_relation_filenode(relid)) \
        from pg_stat_user_tables \
        where relname in ('account', 'account_transaction', 'customer') \
    order by 1";

/// How far everything was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    ends: Offsets,
    books: Vec<String>,
    read_model: Vec<String>,
}

impl Look {
    /// Takes a look. It takes a few milliseconds, however much there is.
    pub(crate) async fn take(sources: &Sources) -> Result<Look, CannotCheck> {
        let kafka = Kafka::new(&sources.kafka_brokers, &sources.topic_prefix);
        let ends = cut::blocking(&kafka, |kafka| kafka.ends(&[0, 1, 2, 3, 4, 5])).await?;
        Ok(Look {
            ends,
            books: lines(&sources.handler_database_url, cut::HANDLER, HANDLER).await?,
            read_model: lines(&sources.gateway_database_url, cut::GATEWAY, GATEWAY).await?,
        })
    }
}

async fn lines(url: &str, name: &'static str, question: &str) -> Result<Vec<String>, CannotCheck> {
    let database = Database::connect(url, name).await?;
    let rows = database.query(question, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
