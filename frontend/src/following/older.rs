//! Rows that are not here yet: older ones, and those a filter lets through.

use leptos::prelude::*;

use super::{Filtered, Following, Phase};
use crate::{
    api::{
        http,
        operations::{self, PAGE_ROWS_MAX, TransactionsAnswer},
        response::ApiError,
        types::Transaction,
    },
    filter::Filter,
    statement::Statement,
    words,
};

/// Rows a download has at most.
const DOWNLOAD_ROWS_MAX: usize = 10_000;

impl Following {
    /// The filter in use; the empty one when there is none.
    pub(crate) fn filter(self) -> Filter {
        self.filtered.with(|filtered| {
            filtered
                .as_ref()
                .map(|filtered| filtered.filter.clone())
                .unwrap_or_default()
        })
    }

    /// Shows only what this lets through.
    pub(crate) fn set_filter(self, filter: Filter) {
        if untrack(|| self.filter()) == filter {
            return;
        }
        self.shown.set(self.page_rows.get_untracked());
        self.frozen.set(None);
        if filter.is_empty() {
            return self.filtered.set(None);
        }
        self.filtered.set(Some(Filtered {
            filter,
            rows: Statement::default(),
        }));
        self.ask_filtered();
    }

    /// Whether there is a filter that the gateway has not answered to.
    pub(crate) fn is_unanswered(self) -> bool {
        self.filtered
            .with(|filtered| filtered.as_ref().is_some_and(|it| it.rows.is_new()))
    }

    /// Asks for the first rows under the filter, if there is one; an account that cannot be seen yet is not asked for.
    pub(crate) fn ask_filtered(self) {
        if untrack(|| self.is_unanswered() && self.phase.get() == Phase::Ready) {
            self.load_up_to(self.page_rows.get_untracked());
        }
    }

    /// Shows one page more, asking for it when it is not here.
    pub(crate) fn show_older(self) {
        self.pause(false);
        self.load_up_to(self.shown.get_untracked() + self.page_rows.get_untracked());
    }

    /// All there is under the filter, newest first, up to a limit.
    ///
    /// # Errors
    /// When the gateway says no, or is not reached.
    pub(crate) async fn everything(self) -> Result<Vec<Transaction>, ApiError> {
        let filter = untrack(|| self.filter());
        let mut found: Vec<Transaction> = Vec::new();
        loop {
            let after = found.last().map(|oldest| oldest.cursor.clone());
            let operation = operations::older_transactions(
                &self.iban(),
                PAGE_ROWS_MAX,
                after.as_deref(),
                &filter,
            );
            let page = http::send::<TransactionsAnswer>(&operation)
                .await?
                .transactions;
            let has_more = page.page_info.has_next_page && !page.nodes.is_empty();
            found.extend(page.nodes);
            if !has_more || found.len() >= DOWNLOAD_ROWS_MAX {
                return Ok(found);
            }
        }
    }

    /// Shows so many rows, asking for those that are not here.
    pub(super) fn load_up_to(self, wanted: usize) {
        if self.loading_older.get_untracked() {
            return;
        }
        self.loading_older.set(true);
        self.spawn(async move {
            loop {
                let filter = untrack(|| self.filter());
                let (known, has_older, cursor) = self.known();
                if known >= wanted || !has_older {
                    break;
                }
                let operation = operations::older_transactions(
                    &self.iban(),
                    wanted - known,
                    cursor.as_deref(),
                    &filter,
                );
                match http::send::<TransactionsAnswer>(&operation).await {
                    // The reader has chosen another filter meanwhile.
                    Ok(_) if untrack(|| self.filter()) != filter => {}
                    Ok(answer) => self.take_older(answer),
                    Err(error) => {
                        self.loading_older.set(false);
                        let which = if untrack(|| self.is_unanswered()) {
                            "Transactions"
                        } else {
                            "Older transactions"
                        };
                        return self.announcer.alert(format!(
                            "{which} were not loaded. {}",
                            words::load_failure(&error)
                        ));
                    }
                }
            }
            self.loading_older.set(false);
            self.shown.set(wanted);
            if self.frozen.with_untracked(Option::is_some) {
                self.frozen.set(Some(self.snapshot()));
            }
        });
    }

    /// Rows here, whether the gateway may have older ones, and where those begin.
    fn known(self) -> (usize, bool, Option<String>) {
        let of = |rows: &Statement| {
            (
                rows.rows_known(),
                rows.has_more_than(rows.rows_known()),
                rows.oldest_cursor(),
            )
        };
        self.filtered.with_untracked(|filtered| match filtered {
            // Not asked yet: then the newest are the next.
            Some(Filtered { rows, .. }) if rows.is_new() => (0, true, None),
            Some(Filtered { rows, .. }) => of(rows),
            None => self.statement.with_untracked(of),
        })
    }

    fn take_older(self, answer: TransactionsAnswer) {
        let page = answer.transactions;
        if self.filtered.with_untracked(Option::is_some) {
            self.filtered.update(|filtered| {
                let Some(Filtered { filter, rows }) = filtered else {
                    return;
                };
                let was_new = rows.is_new();
                let newest = page.nodes.iter().map(|found| found.version).max();
                rows.load_older(page);
                if was_new {
                    // What came in while the gateway was asked may not have been in its tables yet.
                    self.statement.with_untracked(|statement| {
                        let later = statement.newer_than(newest.unwrap_or(0));
                        for row in later.filter(|row| filter.lets_through(&row.transaction)) {
                            rows.apply(row.transaction.clone(), row.origin, 0);
                        }
                    });
                }
            });
        } else {
            self.statement
                .update(|statement| statement.load_older(page));
        }
    }
}
