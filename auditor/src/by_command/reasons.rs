//! Whether the bank's no, or its yes, was right.

use super::{ByCommand, Group};
use crate::facts::{CREATION, Decided, Id, OfAccount, Spent, TRANSFER};
use crate::invariants::Name;
use crate::records::refusal;
use crate::report::CannotCheck;

/// The reasons that are more than form, as they stand in facts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reasons {
    pub(crate) token: u64,
    pub(crate) funds: u64,
    payee: u64,
    both: u64,
    limit: u64,
    iban: u64,
}

impl Default for Reasons {
    fn default() -> Reasons {
        Reasons {
            token: refusal("invalid token"),
            funds: refusal("insufficient funds"),
            payee: refusal("to is not known at this bank"),
            both: refusal("both to and from not known at this bank"),
            limit: refusal("balance limit exceeded"),
            iban: refusal("generated iban already exists, try again"),
        }
    }
}

impl ByCommand<'_> {
    /// The reason, from the command alone; what needs the payer's balance is passed on.
    pub(super) fn judge_reason(
        &mut self,
        id: Id,
        decided: &Decided,
        group: &Group,
    ) -> Result<(), CannotCheck> {
        let reasons = self.reasons;
        let offender = |what: &str| format!("outcome {id} from {}: {what}", decided.source);
        if decided.kind == CREATION && decided.refusal != 0 {
            self.tally
                .check(Name::B4, decided.refusal == reasons.iban, || {
                    offender("no reason that a creation can have")
                });
        }
        let asked = group.asked.iter().find(|it| it.at == decided.source);
        let (TRANSFER, Some(asked)) = (decided.kind, asked) else {
            return Ok(());
        };
        let is_payer_own = asked.from.is_written_like_ours();
        let is_payee_own = asked.to.is_written_like_ours();
        let is_possible = if asked.refusal != 0 {
            // What the form forbids wins over everything else.
            decided.refusal == asked.refusal
        } else {
            match decided.refusal {
                0 => is_payer_own || is_payee_own,
                it if it == reasons.token || it == reasons.funds => is_payer_own,
                it if it == reasons.payee || it == reasons.limit => is_payee_own,
                it if it == reasons.both => !is_payer_own && !is_payee_own,
                _ => false,
            }
        };
        self.tally.check(Name::B4, is_possible, || {
            offender("the command gives another reason, or none")
        });
        let is_about_payer = [0, reasons.token, reasons.funds].contains(&decided.refusal);
        if asked.refusal == 0 && is_payer_own && is_about_payer {
            let spent = OfAccount::Spent(Spent {
                source: decided.source,
                amount: asked.amount,
                refusal: decided.refusal,
                token: asked.token,
                id,
                observed: decided.observed,
            });
            let version = decided.observed.max(0);
            self.of_accounts
                .put(asked.from.0, &spent.pack(asked.from, version))?;
        }
        Ok(())
    }
}
