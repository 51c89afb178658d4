//! What the employee looks at, as it stands in the address: which accounts are followed, which of their transactions,
//! and which page of the list is shown. Reload, back and a pasted link give the same screen.

use crate::{address::escaped, api::operations::ACCOUNT_ORDERS, filter::Filter, iban};

/// Accounts followed side by side.
pub const FOLLOWED_MAX: usize = 4;
/// Accounts on one page of the list.
pub const ACCOUNTS_PER_PAGE: usize = 20;

const ROUTE: &str = "/employee";

/// The screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desk {
    /// Compact, in the order they were chosen.
    pub followed: Vec<String>,
    /// An IBAN or a part of it; empty for all.
    pub find: String,
    /// Place in [`ACCOUNT_ORDERS`].
    pub order: usize,
    /// Where the page of the list begins; None for the first.
    pub after: Option<String>,
    /// Accounts before this page.
    pub before: usize,
    /// Of the transactions of every account that is followed.
    pub filter: Filter,
}

impl Desk {
    /// From the address: its last part, and the values after the question mark.
    #[must_use]
    pub fn read(accounts: Option<&str>, query: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut followed: Vec<String> = Vec::new();
        for account in accounts.unwrap_or_default().split(',') {
            let account = iban::compact(account);
            if !account.is_empty() && !followed.contains(&account) && followed.len() < FOLLOWED_MAX
            {
                followed.push(account);
            }
        }
        let order = query("sort").and_then(|key| {
            ACCOUNT_ORDERS
                .iter()
                .position(|(_, known, _)| *known == key)
        });
        let after = query("after").filter(|cursor| !cursor.is_empty());
        let before = query("before").and_then(|count| count.parse().ok());
        Self {
            followed,
            find: query("find")
                .map(|find| iban::compact(&find))
                .unwrap_or_default(),
            order: order.unwrap_or_default(),
            before: after.as_ref().and(before).unwrap_or_default(),
            after,
            filter: Filter::from_address(query),
        }
    }

    /// The address of this screen.
    #[must_use]
    pub fn address(&self) -> String {
        let mut address = ROUTE.to_owned();
        if !self.followed.is_empty() {
            address.push('/');
            let accounts: Vec<_> = self
                .followed
                .iter()
                .map(|account| escaped(account))
                .collect();
            address.push_str(&accounts.join(","));
        }
        let order = match self.order {
            0 => "",
            order => ACCOUNT_ORDERS[order].1,
        };
        let before = match self.after {
            None => String::new(),
            Some(_) => self.before.to_string(),
        };
        self.filter.address(
            &address,
            &[
                ("find", &self.find),
                ("sort", order),
                ("before", &before),
                ("after", self.after.as_deref().unwrap_or_default()),
            ],
        )
    }

    /// Follows this account and no other, with all of its transactions.
    #[must_use]
    pub fn only(&self, account: &str) -> Self {
        Self {
            followed: vec![account.to_owned()],
            ..self.none()
        }
    }

    /// Follows this account too, or no longer.
    #[must_use]
    pub fn toggled(&self, account: &str) -> Self {
        let mut followed = self.followed.clone();
        if self.follows(account) {
            followed.retain(|known| known != account);
        } else if followed.len() < FOLLOWED_MAX {
            followed.push(account.to_owned());
        }
        if followed.is_empty() {
            return self.none();
        }
        Self {
            followed,
            ..self.clone()
        }
    }

    /// Follows none; a filter without transactions would only wait for the next account.
    #[must_use]
    pub fn none(&self) -> Self {
        Self {
            followed: Vec::new(),
            filter: Filter::default(),
            ..self.clone()
        }
    }

    /// With these transactions of every account that is followed.
    #[must_use]
    pub fn filtered(&self, filter: Filter) -> Self {
        Self {
            filter,
            ..self.clone()
        }
    }

    /// Whether this account is followed.
    #[must_use]
    pub fn follows(&self, account: &str) -> bool {
        self.followed.iter().any(|known| known == account)
    }

    /// Whether one more can be followed.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.followed.len() < FOLLOWED_MAX
    }

    /// The first page of the accounts that match.
    #[must_use]
    pub fn finding(&self, find: &str) -> Self {
        Self {
            find: iban::compact(find),
            ..self.first()
        }
    }

    /// The first page in this order.
    #[must_use]
    pub fn ordered(&self, order: usize) -> Self {
        Self {
            order: order.min(ACCOUNT_ORDERS.len() - 1),
            ..self.first()
        }
    }

    /// The first page.
    #[must_use]
    pub fn first(&self) -> Self {
        Self {
            after: None,
            before: 0,
            ..self.clone()
        }
    }

    /// The page that begins after that cursor; without one, the first.
    #[must_use]
    pub fn at(&self, before: usize, after: Option<String>) -> Self {
        Self {
            before: if after.is_some() { before } else { 0 },
            after,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "NL66OPEN0000000000";
    const OTHER: &str = "NL10OPEN0412883157";

    /// As the browser's router takes an address apart.
    fn read(address: &str) -> Desk {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let accounts = path.strip_prefix("/employee/");
        Desk::read(accounts, &|name| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .filter(|(known, _)| *known == name)
                .map(|(_, value)| value.replace("%3D", "=").replace("%2B", "+"))
                .next()
        })
    }

    #[test]
    fn given_any_screen_when_its_address_is_read_then_it_is_the_same_screen() {
        let desk = Desk::default();
        for (screen, address) in [
            (desk.clone(), "/employee"),
            (desk.only(ONE), "/employee/NL66OPEN0000000000"),
            (
                desk.only(ONE).toggled(OTHER),
                "/employee/NL66OPEN0000000000,NL10OPEN0412883157",
            ),
            (desk.finding("31 57"), "/employee?find=3157"),
            (desk.ordered(2), "/employee?sort=balance"),
            (
                desk.ordered(1).at(20, Some("a+b=".to_owned())).only(ONE),
                "/employee/NL66OPEN0000000000?sort=iban&before=20&after=a%2Bb%3D",
            ),
            (
                desk.finding("31").only(ONE).filtered(rent()),
                "/employee/NL66OPEN0000000000?find=31&direction=debit&from=10.00&text=rent",
            ),
        ] {
            assert_eq!(screen.address(), address);
            assert_eq!(read(address), screen);
        }
    }

    fn rent() -> Filter {
        Filter::read("DEBIT", "10", "", "rent").expect("a filter")
    }

    #[test]
    fn given_a_filter_when_the_list_or_the_accounts_change_then_it_stays_with_the_accounts_it_was_made_for()
     {
        let filtered = Desk::default().only(ONE).filtered(rent());
        for kept in [
            filtered.toggled(OTHER),
            filtered.toggled(OTHER).toggled(ONE),
            filtered.finding("31"),
            filtered.ordered(1),
            filtered.at(20, Some("a".to_owned())),
        ] {
            assert_eq!(kept.filter, rent());
        }
        for gone in [filtered.only(OTHER), filtered.none(), filtered.toggled(ONE)] {
            assert_eq!(gone.filter, Filter::default());
        }
    }

    #[test]
    fn given_an_address_by_hand_when_read_then_what_makes_no_sense_is_left_out() {
        assert_eq!(
            read("/employee?sort=colour&before=7&after="),
            Desk::default()
        );
        assert_eq!(
            read("/employee/nl66open0000000000,,NL66OPEN0000000000").followed,
            [ONE]
        );
        let many = (0..9)
            .map(|n| format!("A{n}"))
            .collect::<Vec<_>>()
            .join(",");
        assert_eq!(
            read(&format!("/employee/{many}")).followed.len(),
            FOLLOWED_MAX
        );
    }

    #[test]
    fn given_a_followed_account_when_toggled_then_it_is_no_longer_followed() {
        let desk = Desk::default().toggled(ONE).toggled(OTHER);
        assert!(desk.follows(ONE) && desk.follows(OTHER));
        assert_eq!(desk.toggled(ONE).followed, [OTHER]);
        assert!(desk.none().followed.is_empty());
        let full = (0..9).fold(desk, |desk, n| desk.toggled(&format!("A{n}")));
        assert!(!full.has_room());
        assert_eq!(full.followed.len(), FOLLOWED_MAX);
    }

    #[test]
    fn given_a_later_page_when_the_search_or_order_changes_then_it_begins_at_the_first() {
        let later = Desk::default().at(40, Some("b".to_owned()));
        for first in [later.finding("12"), later.ordered(1), later.first()] {
            assert_eq!((first.after, first.before), (None, 0));
        }
    }
}
