//! What the reader has chosen for this device: the theme, and how statements look.

use leptos::prelude::*;

use crate::{browser::storage, preferences::Preferences};

/// `theme.js` reads it too, before anything is painted.
const THEME_KEPT_AS: &str = "bank.theme";
const PREFERENCES_KEPT_AS: &str = "bank.statements";

/// Light, dark, or as the system has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn from_key(key: &str) -> Self {
        let known = Self::ALL.into_iter().find(|theme| theme.key() == key);
        known.unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Choices {
    pub(crate) theme: RwSignal<Theme>,
    pub(crate) preferences: RwSignal<Preferences>,
}

impl Choices {
    pub(crate) fn provide() {
        let theme =
            storage::get(THEME_KEPT_AS).map_or_else(Theme::default, |key| Theme::from_key(&key));
        let preferences =
            storage::get(PREFERENCES_KEPT_AS).and_then(|text| Preferences::decode(&text));
        provide_context(Self {
            theme: RwSignal::new(theme),
            preferences: RwSignal::new(preferences.unwrap_or_default()),
        });
    }

    pub(crate) fn choose_theme(self, theme: Theme) {
        storage::put(THEME_KEPT_AS, theme.key());
        if let Some(root) = document().document_element() {
            // Naming an attribute so cannot fail.
            _ = match theme {
                Theme::System => root.remove_attribute("data-theme"),
                chosen => root.set_attribute("data-theme", chosen.key()),
            };
        }
        self.theme.set(theme);
    }

    pub(crate) fn prefer(self, change: impl FnOnce(&mut Preferences)) {
        self.preferences.update(change);
        let text = self.preferences.with_untracked(Preferences::encode);
        storage::put(PREFERENCES_KEPT_AS, &text);
    }
}
