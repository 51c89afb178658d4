//! Who may see what: the one place that decides.

use topology::COMPANY_IBAN;

use crate::answer::{Code, Refusal};
use crate::identity::{Role, Viewer};

/// Something to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// One account with its transactions.
    Account(&'a str),
    /// The list of all accounts.
    AllAccounts,
    /// The viewer's own commands.
    OwnCommands,
    /// How fast the simulated public is, and the knob for it.
    Load,
    /// How the bank is: services, topics and what stands in them.
    Status,
}

/// Whether it may be seen.
///
/// # Errors
/// UNAUTHENTICATED for nobody, FORBIDDEN for somebody else; never whether the thing is.
pub fn may_see(viewer: Option<&Viewer>, seen: Seen<'_>, demo_mode: bool) -> Result<(), Refusal> {
    let allowed = match (seen, viewer) {
        // A demo is to be looked at, and played with.
        (Seen::Account(COMPANY_IBAN) | Seen::Load | Seen::Status, _) if demo_mode => true,
        (Seen::Account(iban), Some(viewer)) => {
            viewer.role == Role::Employee || viewer.iban.as_deref() == Some(iban)
        }
        (Seen::AllAccounts | Seen::Load | Seen::Status, Some(viewer)) => {
            viewer.role == Role::Employee
        }
        (Seen::OwnCommands, Some(_)) => true,
        (_, None) => false,
    };
    match (allowed, viewer) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(Refusal::new(Code::Forbidden, "you may not see or do this")),
        (false, None) => Err(sign_in_first()),
    }
}

/// The customer who pays, with their account once it is open.
///
/// # Errors
/// UNAUTHENTICATED for nobody, FORBIDDEN for an employee.
pub fn may_pay(viewer: Option<&Viewer>) -> Result<&Viewer, Refusal> {
    match viewer {
        Some(viewer) if viewer.role == Role::Customer => Ok(viewer),
        Some(_) => Err(Refusal::new(
            Code::Forbidden,
            "only a customer has an account to pay from",
        )),
        None => Err(sign_in_first()),
    }
}

/// What nobody in particular is told.
#[must_use]
pub fn sign_in_first() -> Refusal {
    Refusal::new(Code::Unauthenticated, "log in first")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "NL39OPEN0000000001";
    const OTHER: &str = "NL12OPEN0000000002";

    fn viewer(role: Role, iban: Option<&str>) -> Viewer {
        Viewer {
            user_name: "ann".to_owned(),
            role,
            iban: iban.map(str::to_owned),
            token_ciphertext: None,
        }
    }

    #[test]
    fn each_role_sees_exactly_what_the_table_says() {
        let customer = viewer(Role::Customer, Some(OWN));
        let waiting = viewer(Role::Customer, None);
        let employee = viewer(Role::Employee, None);
        let (ok, no, who) = (None, Some(Code::Forbidden), Some(Code::Unauthenticated));
        // what is seen, demo mode: nobody, customer, customer without account, employee
        for (seen, demo, answers) in [
            (Seen::Account(OWN), false, [who, ok, no, ok]),
            (Seen::Account(OWN), true, [who, ok, no, ok]),
            (Seen::Account(OTHER), false, [who, no, no, ok]),
            (Seen::Account(OTHER), true, [who, no, no, ok]),
            (Seen::Account(COMPANY_IBAN), false, [who, no, no, ok]),
            (Seen::Account(COMPANY_IBAN), true, [ok, ok, ok, ok]),
            (Seen::AllAccounts, false, [who, no, no, ok]),
            (Seen::AllAccounts, true, [who, no, no, ok]),
            (Seen::Load, false, [who, no, no, ok]),
            (Seen::Load, true, [ok, ok, ok, ok]),
            (Seen::Status, false, [who, no, no, ok]),
            (Seen::Status, true, [ok, ok, ok, ok]),
            (Seen::OwnCommands, false, [who, ok, ok, ok]),
            (Seen::OwnCommands, true, [who, ok, ok, ok]),
        ] {
            let viewers = [None, Some(&customer), Some(&waiting), Some(&employee)];
            for (viewer, expected) in viewers.into_iter().zip(answers) {
                let refused = may_see(viewer, seen, demo).err().map(|no| no.code);
                assert_eq!(refused, expected, "{viewer:?} {seen:?} demo {demo}");
            }
        }
    }

    #[test]
    fn only_a_customer_pays() {
        let code = |viewer: Option<&Viewer>| may_pay(viewer).err().map(|no| no.code);
        assert_eq!(code(None), Some(Code::Unauthenticated));
        assert_eq!(
            code(Some(&viewer(Role::Employee, None))),
            Some(Code::Forbidden)
        );
        assert_eq!(code(Some(&viewer(Role::Customer, Some(OWN)))), None);
    }
}
