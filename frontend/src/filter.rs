//! Which transactions the reader wants to see. The gateway looks through the past with it; what comes in live is
//! judged here by the same rules. The wish stands in the address, so that it can be kept, sent on and undone.

use serde_json::{Map, Value, json};

use crate::{
    address,
    api::types::Transaction,
    money::{AmountError, Cents},
};

/// Of a text to look for; the gateway takes no more.
pub const TEXT_CHARACTERS_MAX: usize = 140;

// Names in the address.
const DIRECTION: &str = "direction";
const LEAST: &str = "from";
const MOST: &str = "to";
const TEXT: &str = "text";

/// Which way money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Came in.
    Credit,
    /// Went out.
    Debit,
}

impl Direction {
    const ALL: [Self; 2] = [Self::Credit, Self::Debit];

    /// As the gateway has it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Credit => "CREDIT",
            Self::Debit => "DEBIT",
        }
    }

    /// Of a change.
    #[must_use]
    pub fn of(change: Cents) -> Self {
        if change.0 < 0 {
            Self::Debit
        } else {
            Self::Credit
        }
    }
}

/// The wish; the empty one lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this way.
    pub direction: Option<Direction>,
    /// Of this size or more, whatever the sign.
    pub least: Option<Cents>,
    /// Of this size or less.
    pub most: Option<Cents>,
    /// Somewhere in the description, whatever the case.
    pub text: String,
}

impl Filter {
    /// Reads the fields as typed.
    ///
    /// # Errors
    /// Which amount cannot be read, and what to do.
    pub fn read(direction: &str, least: &str, most: &str, text: &str) -> Result<Self, FilterError> {
        let direction = Direction::ALL
            .into_iter()
            .find(|known| known.key() == direction);
        let least = read_bound(least).ok_or(FilterError::Least)?;
        let most = read_bound(most).ok_or(FilterError::Most)?;
        if least.zip(most).is_some_and(|(least, most)| least > most) {
            return Err(FilterError::Crossed);
        }
        Ok(Self {
            direction,
            least,
            most,
            text: text.trim().to_owned(),
        })
    }

    /// From the values after the question mark; one that makes no sense is left out.
    #[must_use]
    pub fn from_address(query: &dyn Fn(&str) -> Option<String>) -> Self {
        let value = |name| query(name).unwrap_or_default();
        let bound = |name| read_bound(&value(name)).flatten();
        let (least, most) = (bound(LEAST), bound(MOST));
        let is_crossed = least.zip(most).is_some_and(|(least, most)| least > most);
        let direction = value(DIRECTION).to_uppercase();
        let text = value(TEXT).trim().to_owned();
        let is_text = text.chars().count() <= TEXT_CHARACTERS_MAX && !text.contains('\0');
        Self {
            direction: Direction::ALL
                .into_iter()
                .find(|known| known.key() == direction),
            least: least.filter(|_| !is_crossed),
            most: most.filter(|_| !is_crossed),
            text: if is_text { text } else { String::new() },
        }
    }

    /// The names and values that [`Filter::from_address`] reads; amounts as `12.30`, whoever reads the address.
    #[must_use]
    pub fn in_address(&self) -> [(&'static str, String); 4] {
        let direction = self.direction.map(|it| it.key().to_lowercase());
        let [least, most] = [self.least, self.most].map(|bound| bound.map(Cents::in_address));
        [
            (DIRECTION, direction.unwrap_or_default()),
            (LEAST, least.unwrap_or_default()),
            (MOST, most.unwrap_or_default()),
            (TEXT, self.text.clone()),
        ]
    }

    /// The address of a route under this filter, with other values before it.
    #[must_use]
    pub fn address(&self, path: &str, before: &[(&str, &str)]) -> String {
        let own = self.in_address();
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let values: Vec<_> = before.iter().copied().chain(own).collect();
        address::with_query(path, &values)
    }

    /// Whether everything gets through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this transaction gets through.
    #[must_use]
    pub fn lets_through(&self, transaction: &Transaction) -> bool {
        let size = Cents(transaction.changed_by.0.saturating_abs());
        self.direction
            .is_none_or(|direction| direction == Direction::of(transaction.changed_by))
            && self.least.is_none_or(|least| size >= least)
            && self.most.is_none_or(|most| size <= most)
            && (self.text.is_empty()
                || transaction
                    .description
                    .to_lowercase()
                    .contains(&self.text.to_lowercase()))
    }

    /// As the gateway takes it.
    #[must_use]
    pub fn variables(&self) -> Value {
        let mut fields = Map::new();
        if let Some(direction) = self.direction {
            fields.insert("direction".to_owned(), json!(direction.key()));
        }
        for (name, bound) in [("minAmount", self.least), ("maxAmount", self.most)] {
            if let Some(bound) = bound {
                fields.insert(name.to_owned(), json!(bound.to_string()));
            }
        }
        if !self.text.is_empty() {
            fields.insert("text".to_owned(), json!(self.text));
        }
        Value::Object(fields)
    }
}

/// What is wrong with a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// The lower bound is no amount.
    Least,
    /// The upper bound is no amount.
    Most,
    /// The lower bound is above the upper.
    Crossed,
}

impl FilterError {
    /// What to do, as a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Least | Self::Most => "Enter an amount, such as 12,30.",
            Self::Crossed => "The first amount must be the smaller one.",
        }
    }
}

/// None when it cannot be read; nothing typed is no bound.
fn read_bound(typed: &str) -> Option<Option<Cents>> {
    if typed.trim().is_empty() {
        return Some(None);
    }
    match Cents::parse_typed(typed) {
        Ok(cents) => Some(Some(cents)),
        // Every amount is as large as nothing.
        Err(AmountError::NotPositive) if !typed.contains(['-', '\u{2212}']) => Some(None),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(changed_by: i64, description: &str) -> Transaction {
        Transaction {
            iban: "NL66OPEN0000000000".to_owned(),
            version: 1,
            new_balance: Cents(0),
            changed_by: Cents(changed_by),
            counterparty: "cash".to_owned(),
            description: description.to_owned(),
            command_id: None,
            occurred_at: String::new(),
            serial: String::new(),
            cursor: String::new(),
        }
    }

    #[test]
    fn given_a_filter_when_a_transaction_comes_in_then_it_is_judged_as_the_gateway_would() {
        let read = |direction, least, most, text| {
            Filter::read(direction, least, most, text).expect("a filter")
        };
        for (filter, passes, stays_out) in [
            (read("", "", "", ""), vec![(1, "x"), (-1, "")], vec![]),
            (read("CREDIT", "", "", ""), vec![(1, "")], vec![(-1, "")]),
            (read("DEBIT", "", "", ""), vec![(-1, "")], vec![(1, "")]),
            (
                read("", "12,30", "", ""),
                vec![(1_230, ""), (-1_230, ""), (9_999, "")],
                vec![(1_229, ""), (-1_229, "")],
            ),
            (
                read("", "", "12,30", ""),
                vec![(1_230, ""), (-5, "")],
                vec![(1_231, ""), (-1_231, "")],
            ),
            (
                read("", "0", "", " rent "),
                vec![(1, "Rent of May"), (-1, "RENT")],
                vec![(1, "Salary")],
            ),
            (
                read("", "", "", "ÉTÉ"),
                vec![(1, "l'été")],
                vec![(1, "hiver")],
            ),
        ] {
            for (changed_by, description) in passes {
                assert!(
                    filter.lets_through(&transaction(changed_by, description)),
                    "{filter:?} {changed_by} {description}"
                );
            }
            for (changed_by, description) in stays_out {
                assert!(
                    !filter.lets_through(&transaction(changed_by, description)),
                    "{filter:?} {changed_by} {description}"
                );
            }
        }
    }

    #[test]
    fn given_fields_that_are_no_filter_when_read_then_it_is_told_which() {
        for (least, most, error) in [
            ("ten", "", FilterError::Least),
            ("-5", "", FilterError::Least),
            ("", "1,2,3", FilterError::Most),
            ("10", "5", FilterError::Crossed),
        ] {
            assert_eq!(Filter::read("", least, most, ""), Err(error));
        }
    }

    fn from_address(query: &str) -> Filter {
        Filter::from_address(&|name| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut found = pairs.filter(|(known, _)| *known == name);
            let decoded = |value: &str| value.replace("%20", " ").replace("%26", "&");
            found.next().map(|(_, value)| decoded(value))
        })
    }

    #[test]
    fn given_a_filter_when_its_address_is_opened_then_it_is_the_same() {
        for (fields, address) in [
            (["", "", "", ""], "/client"),
            (["CREDIT", "", "", ""], "/client?direction=credit"),
            (
                ["DEBIT", "1.234,5", "99.999.999,99", " rent & more "],
                "/client?direction=debit&from=1234.50&to=99999999.99&text=rent%20%26%20more",
            ),
            (["", "0,07", "", ""], "/client?from=0.07"),
            (["", "0", "3", ""], "/client?to=3.00"),
        ] {
            let [direction, least, most, text] = fields;
            let filter = Filter::read(direction, least, most, text).expect("a filter");
            assert_eq!(filter.address("/client", &[]), address);
            let query = address.split_once('?').map_or("", |(_, query)| query);
            assert_eq!(from_address(query), filter);
        }
        let kept = Filter::default().address("/employee", &[("sort", "iban"), ("find", "")]);
        assert_eq!(kept, "/employee?sort=iban");
    }

    #[test]
    fn given_an_address_by_hand_when_opened_then_what_makes_no_sense_is_left_out() {
        let long = format!("text={}", "x".repeat(TEXT_CHARACTERS_MAX + 1));
        for nothing in [
            "",
            "direction=sideways&from=ten&to=-5&text=%20",
            "from=10&to=5",
            "from=99999999999999999999",
            "from=1e3&to=NaN",
            "text=a\0b",
            &long,
            "colour=red",
        ] {
            assert_eq!(from_address(nothing), Filter::default(), "{nothing}");
        }
        let some = from_address("direction=Credit&from=12,5&to=x&text=rent&text=more");
        let expected = Filter::read("CREDIT", "12,50", "", "rent").expect("a filter");
        assert_eq!(some, expected);
    }

    #[test]
    fn given_a_filter_when_sent_then_only_what_is_wished_is_in_it() {
        assert_eq!(Filter::default().variables(), json!({}));
        let filter = Filter::read("DEBIT", "1", "2,50", "book").expect("a filter");
        assert_eq!(
            filter.variables(),
            json!({ "direction": "DEBIT", "minAmount": "100", "maxAmount": "250", "text": "book" })
        );
    }
}
