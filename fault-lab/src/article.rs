//! The article's way in the handler's place, to see that the lab sees what is broken. It has tables of its own and
//! cannot open accounts, so that the lab writes them there.

use crate::{board::Account, database, error::LabError, seed::Seed};

/// Its program, which the benchmark brings.
pub const PROGRAM: &str = "articles-way";
/// In front of its topics.
pub const PREFIX: &str = "article-";
/// Its database; it holds nothing that anybody must not see.
pub const DATABASE: &str = "articles_way";
/// In cents.
const FIRST_BALANCE_CENTS: i64 = 100_000_000;

const SCHEMA: &str = "
    create table balance (iban text primary key, token text not null, amount bigint not null, lmt bigint not null);
    create table cmt (uuid uuid primary key, reason text);";

/// Writes accounts into its tables.
///
/// # Errors
/// When the database refuses.
pub async fn write_accounts(
    books_url: &str,
    count: u32,
    seed: &mut Seed,
) -> Result<Vec<Account>, LabError> {
    let client = database::connect(books_url).await?;
    client
        .batch_execute(SCHEMA)
        .await
        .map_err(LabError::postgres("make the article's tables"))?;
    let mut accounts = Vec::new();
    for number in 0..count {
        let account = Account {
            iban: format!("NL00OPEN{number:010}"),
            token: format!("{:020}", seed.draw()),
        };
        client
            .execute(
                "insert into balance values ($1, $2, $3, 0)",
                &[&account.iban, &account.token, &FIRST_BALANCE_CENTS],
            )
            .await
            .map_err(LabError::postgres("write an account"))?;
        accounts.push(account);
    }
    Ok(accounts)
}
