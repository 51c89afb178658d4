//! The colours of the page can be read: contrast by WCAG 2.2, computed again from the tokens in `style.css`.

#![expect(clippy::float_arithmetic, reason = "luminance is no money")]

use std::collections::BTreeMap;

const STYLE: &str = include_str!("../assets/style.css");
const SURFACES: [&str; 3] = ["paper", "sheet", "sunken"];
const WASHES: [&str; 4] = ["accent-wash", "pos-wash", "neg-wash", "warn-wash"];
const TEXT: f64 = 4.5;
const GRAPHICS: f64 = 3.0;

/// Token to its colour in light and in dark.
fn tokens() -> BTreeMap<&'static str, [f64; 2]> {
    let declarations = STYLE
        .split(['{', ';', '}'])
        .filter_map(|part| part.rsplit_once("--"));
    declarations
        .filter_map(|(_, declaration)| {
            let (name, value) = declaration.split_once(':')?;
            let (light, dark) = value
                .trim()
                .strip_prefix("light-dark(")?
                .strip_suffix(')')?
                .split_once(',')?;
            Some((
                name.trim(),
                [luminance(light.trim()), luminance(dark.trim())],
            ))
        })
        .collect()
}

fn luminance(hex: &str) -> f64 {
    let channel = |at: usize| {
        let share =
            f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("tokens are #rrggbb"))
                / 255.0;
        if share <= 0.04045 {
            share / 12.92
        } else {
            ((share + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_colour_can_be_read_on_every_surface_it_may_stand_on() {
    let tokens = tokens();
    let everywhere: Vec<&str> = SURFACES.into_iter().chain(WASHES).collect();
    let own = |wash| SURFACES.into_iter().chain([wash]).collect::<Vec<_>>();
    for (token, stands_on, least) in [
        ("ink", everywhere.clone(), TEXT),
        ("ink-2", everywhere.clone(), TEXT),
        ("ink-3", everywhere.clone(), TEXT),
        ("accent", everywhere.clone(), TEXT),
        ("accent-strong", everywhere.clone(), TEXT),
        ("edge", everywhere, GRAPHICS),
        ("pos", own("pos-wash"), TEXT),
        ("neg", own("neg-wash"), TEXT),
        ("warn", own("warn-wash"), TEXT),
        ("on-accent", vec!["accent", "accent-strong"], TEXT),
        ("s1", SURFACES.to_vec(), TEXT),
        ("s2", SURFACES.to_vec(), GRAPHICS),
        ("s3", SURFACES.to_vec(), GRAPHICS),
        ("s4", SURFACES.to_vec(), GRAPHICS),
        ("s5", SURFACES.to_vec(), GRAPHICS),
        ("s6", SURFACES.to_vec(), GRAPHICS),
    ] {
        for surface in stands_on {
            for (theme, name) in ["light", "dark"].into_iter().enumerate() {
                let found = contrast(tokens[token][theme], tokens[surface][theme]);
                assert!(
                    found >= least,
                    "{token} on {surface} in {name}: {found:.2}, needs {least}"
                );
            }
        }
    }
}

#[test]
fn colours_are_chosen_among_the_tokens_only() {
    let (_, rules) = STYLE.split_once("@layer base {").unwrap();
    for forbidden in ["rgb(", "hsl(", "gradient(", "blur("] {
        assert!(!rules.contains(forbidden), "{forbidden} outside the tokens");
    }
    for (place, _) in rules.match_indices('#') {
        let name =
            rules[place + 1..].split(|letter: char| !letter.is_alphanumeric() && letter != '-');
        let name = name.into_iter().next().unwrap_or_default();
        let is_colour = matches!(name.len(), 3 | 4 | 6 | 8)
            && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(!is_colour, "#{name} outside the tokens");
    }
}
