//! How the reader wants statements: how many rows, and what stands in them. Kept on the device.

/// Numbers of rows to choose from.
pub const ROWS_CHOICES: [usize; 6] = [5, 10, 25, 50, 100, 250];

/// Something that may stand in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The account the statement is of.
    OwnIban,
    /// The balance after the change.
    NewBalance,
    /// The word for the direction.
    Direction,
    /// From whom, or to whom.
    OtherAccount,
    /// What moved.
    Amount,
    /// What the payer wrote.
    Description,
}

impl Column {
    /// In the order of the choice.
    pub const ALL: [Self; 6] = [
        Self::OwnIban,
        Self::NewBalance,
        Self::Direction,
        Self::OtherAccount,
        Self::Amount,
        Self::Description,
    ];

    /// For people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::OwnIban => "own IBAN",
            Self::NewBalance => "new balance",
            Self::Direction => "credit or debit",
            Self::OtherAccount => "other account",
            Self::Amount => "amount",
            Self::Description => "description",
        }
    }

    /// For storage and for ids in the document.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::OwnIban => "own-iban",
            Self::NewBalance => "new-balance",
            Self::Direction => "direction",
            Self::OtherAccount => "other-account",
            Self::Amount => "amount",
            Self::Description => "description",
        }
    }

    fn place(self) -> usize {
        Self::ALL
            .iter()
            .position(|column| *column == self)
            .unwrap_or_default()
    }
}

/// The choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// Rows of a page.
    pub rows: usize,
    shown: [bool; Column::ALL.len()],
}

impl Default for Preferences {
    fn default() -> Self {
        let mut preferences = Self {
            rows: 25,
            shown: [true; Column::ALL.len()],
        };
        // Both repeat what is there: the account stands above its statement, and the amount has a sign.
        preferences.show(Column::OwnIban, false);
        preferences.show(Column::Direction, false);
        preferences
    }
}

impl Preferences {
    /// Whether the rows have it.
    #[must_use]
    pub fn shows(&self, column: Column) -> bool {
        self.shown[column.place()]
    }

    /// Shows or hides it.
    pub fn show(&mut self, column: Column, shown: bool) {
        self.shown[column.place()] = shown;
    }

    /// For storage: `25 new-balance amount`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = self.rows.to_string();
        for column in Column::ALL.iter().filter(|column| self.shows(**column)) {
            text.push(' ');
            text.push_str(column.key());
        }
        text
    }

    /// From storage; what is not understood is left out, and without a number of rows there is nothing.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let rows = words.next()?.parse().ok()?;
        if !ROWS_CHOICES.contains(&rows) {
            return None;
        }
        let keys: Vec<_> = words.collect();
        let shown = Column::ALL.map(|column| keys.contains(&column.key()));
        Some(Self { rows, shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_any_choice_when_kept_and_read_then_it_is_the_same() {
        for rows in ROWS_CHOICES {
            for column in Column::ALL {
                let mut preferences = Preferences {
                    rows,
                    ..Preferences::default()
                };
                preferences.show(column, !preferences.shows(column));
                assert_eq!(
                    Preferences::decode(&preferences.encode()),
                    Some(preferences)
                );
            }
        }
    }

    #[test]
    fn given_what_another_version_kept_when_read_then_only_what_is_known_counts() {
        let read = Preferences::decode("10 amount colour").unwrap();
        assert_eq!(read.rows, 10);
        assert!(read.shows(Column::Amount) && !read.shows(Column::NewBalance));
        for nonsense in ["", "7 amount", "many", "-1"] {
            assert_eq!(Preferences::decode(nonsense), None, "{nonsense}");
        }
    }
}
