//! What people put into forms, in every way, and what the page makes of it.

use anyhow::{Context, Result, ensure};
use e2e::{PATIENCE, eventually};
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::Stage;
use crate::people::{COMPANY_IBAN, Customer, PASSWORD};
use e2e::browser::Browser;

/// How something comes into a field.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Key by key.
    Typed,
    /// In one go, as from the clipboard, a password manager, or an input method.
    Pasted,
}
use Way::{Pasted, Typed};

const WHO: &str = "Enter who you pay.";
const DIGITS: &str = "This IBAN is not right: check the digits.";
const AMOUNT: &str = "Enter an amount, such as 12,30.";
const ZERO: &str = "The amount must be more than zero.";
const MUCH: &str = "The amount can be ten million euros at most.";
const WHAT: &str = "Enter a description.";
const LONG: &str = "Use 140 characters or fewer.";
const SHORT: &str = "Use 8 characters or more.";

/// Payee, amount, description, how they come in, and what is said: the reading of the amount, or what is wrong.
type PayCase = (
    &'static str,
    &'static str,
    &'static str,
    Way,
    Result<&'static str, &'static [&'static str]>,
);

/// 46 of the 72 cases; the others are below and in the cases of paying twice.
const PAY: &[PayCase] = &[
    // Decimals by comma and point, groups by either and by spaces.
    ("Shop", "1,50", "x", Typed, Ok("1,50")),
    ("Shop", "1.50", "x", Typed, Ok("1,50")),
    ("Shop", "1.500,00", "x", Typed, Ok("1.500,00")),
    ("Shop", "1,500.00", "x", Pasted, Ok("1.500,00")),
    ("Shop", "1 500", "x", Typed, Ok("1.500,00")),
    ("Shop", "1\u{a0}500,5", "x", Pasted, Ok("1.500,50")),
    ("Shop", "1.500", "x", Typed, Ok("1.500,00")),
    ("Shop", "€ 12", "x", Pasted, Ok("12,00")),
    ("Shop", "12 €", "x", Pasted, Ok("12,00")),
    ("Shop", "007", "x", Typed, Ok("7,00")),
    ("Shop", "0,29", "x", Typed, Ok("0,29")),
    ("Shop", "4.35", "x", Typed, Ok("4,35")),
    ("Shop", "19,99", "x", Typed, Ok("19,99")),
    ("Shop", " 5 ", "x", Pasted, Ok("5,00")),
    ("Shop", "10.000.000,00", "x", Typed, Ok("10.000.000,00")),
    ("Shop", "0,00", "x", Typed, Err(&[ZERO])),
    ("Shop", "0", "x", Typed, Err(&[ZERO])),
    ("Shop", "-5", "x", Typed, Err(&[ZERO])),
    ("Shop", "\u{2212}5", "x", Pasted, Err(&[ZERO])),
    ("Shop", "+5", "x", Typed, Err(&[AMOUNT])),
    ("Shop", "1e3", "x", Typed, Err(&[AMOUNT])),
    ("Shop", "0x10", "x", Typed, Err(&[AMOUNT])),
    ("Shop", "twelve", "x", Typed, Err(&[AMOUNT])),
    ("Shop", "١٢", "x", Pasted, Err(&[AMOUNT])),
    ("Shop", "1,234,5", "x", Typed, Err(&[AMOUNT])),
    ("Shop", "1,2345", "x", Typed, Err(&[AMOUNT])),
    ("Shop", "12,", "x", Typed, Err(&[AMOUNT])),
    ("Shop", ",5", "x", Typed, Err(&[AMOUNT])),
    ("Shop", "NaN", "x", Typed, Err(&[AMOUNT])),
    ("Shop", "", "x", Typed, Err(&[AMOUNT])),
    ("Shop", "99999999999999999999", "x", Typed, Err(&[MUCH])),
    ("Shop", "10.000.000,01", "x", Typed, Err(&[MUCH])),
    // IBANs in any writing, wrong digits, check digits that no IBAN has, names.
    ("nl66 open 0000 0000 00", "1", "x", Pasted, Ok("1,00")),
    ("  NL66OPEN0000000000 ", "1", "x", Typed, Ok("1,00")),
    ("DE89 3704 0044 0532 0130 00", "1", "x", Pasted, Ok("1,00")),
    ("NL67 OPEN 0000 0000 00", "1", "x", Typed, Err(&[DIGITS])),
    ("NL66 OPEN 0000 0000 0", "1", "x", Typed, Err(&[DIGITS])),
    ("NL00 OPEN 0000 0000 24", "1", "x", Typed, Err(&[DIGITS])),
    ("Ö. Müller-Lüdenscheidt", "1", "x", Pasted, Ok("1,00")),
    ("   ", "1", "x", Typed, Err(&[WHO])),
    // Descriptions of any kind.
    ("Shop", "1", "日本語の説明", Pasted, Ok("1,00")),
    (
        "Shop",
        "1",
        "', \"; drop table account; --",
        Typed,
        Ok("1,00"),
    ),
    ("Shop", "1", "   ", Typed, Err(&[WHAT])),
    ("Shop", "1", "[141]", Pasted, Err(&[LONG])),
    // Several at once, told in the order of the fields.
    ("", "", "", Typed, Err(&[WHO, AMOUNT, WHAT])),
    (
        "NL67OPEN0000000000",
        "-1",
        "",
        Typed,
        Err(&[DIGITS, ZERO, WHAT]),
    ),
];

async fn enter(browser: &Browser, selector: &str, text: &str, way: Way) -> Result<()> {
    if let Typed = way {
        return browser.fill(selector, text).await;
    }
    browser.fill(selector, "").await?;
    browser
        .tell("Input.insertText", json!({ "text": text }))
        .await?;
    Ok(())
}

/// What is said under the fields and in the summary.
async fn errors(browser: &Browser) -> Result<(Vec<String>, Vec<String>)> {
    let script = "const texts = selector => [...document.querySelectorAll(selector)].map(e => e.textContent).filter(t => t);\
         return [texts('.field-error'), texts('#error-summary li')]";
    Ok(serde_json::from_value(browser.run(script, vec![]).await?)?)
}

pub(crate) async fn given_the_pay_form_when_filled_in_any_way_then_it_says_what_is_wrong_or_pays_that(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 0).await?;
    customer.enter(browser, &stage.page).await?;
    for case @ (to, amount, description, way, expected) in PAY {
        let description = description.replace("[141]", &"d".repeat(141));
        check_pay(browser, (to, amount, &description), *way, *expected)
            .await
            .with_context(|| format!("{case:?}"))?;
    }
    ensure!(
        customer.changes().await?.is_empty(),
        "nothing was on the account"
    );
    Ok(())
}

/// The account is empty and may go to € -500,00: what is more is rejected, what is less is not sent but read back.
async fn check_pay(
    browser: &Browser,
    (to, amount, description): (&str, &str, &str),
    way: Way,
    expected: Result<&str, &[&str]>,
) -> Result<()> {
    for (selector, text) in [
        ("#pay-to", to),
        ("#pay-amount", amount),
        ("#pay-description", description),
    ] {
        enter(browser, selector, text, way).await?;
    }
    match expected {
        Ok(reading) => {
            browser
                .says("#pay-amount-hint", &format!("You pay € {reading}"))
                .await?;
            browser
                .says("#pay-submit", &format!("Pay € {reading}"))
                .await?;
            let (said, _) = errors(browser).await?;
            ensure!(said.is_empty(), "{said:?}");
        }
        Err(wrong) => {
            browser
                .find("#pay-submit")
                .await?
                .send_keys(Key::Enter + "")
                .await?;
            eventually("what is wrong is said", PATIENCE, async || {
                let (under, above) = errors(browser).await?;
                ensure!(under == wrong && above == wrong, "{under:?} {above:?}");
                Ok(())
            })
            .await?;
            browser
                .holds(
                    "the summary has the focus",
                    "return document.activeElement.id === 'error-summary'",
                )
                .await?;
            browser
                .holds(
                    "the title says it",
                    "return document.title.startsWith('Error: ')",
                )
                .await?;
        }
    }
    let kept = browser.run("return ['to', 'amount', 'description'].map(n => document.getElementById('pay-' + n).value)", vec![]).await?;
    // A field of one line takes no line break; what else was put in stays.
    ensure!(kept == json!([to, amount, description]), "{kept} is left");
    Ok(())
}

pub(crate) async fn given_the_forms_of_credentials_when_filled_then_they_say_what_is_wrong(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.go(&format!("{}/client", stage.page)).await?;
    let taken = Customer::with(&stage.page, 0).await?;
    for (form, name, password, way, expected) in [
        ("open", "short", "long enough", Typed, SHORT),
        ("open", "long-enough", "short", Typed, SHORT),
        ("open", "", "", Typed, SHORT),
        ("open", "        ", "long enough", Typed, SHORT),
        ("open", "ééé", "pässwörd", Pasted, SHORT),
        (
            "open",
            taken.user_name.as_str(),
            "long enough",
            Typed,
            "This user name is taken.",
        ),
        ("sign-in", "", "x", Typed, "Enter your user name."),
        ("sign-in", "x", "", Pasted, "Enter your password."),
        (
            "sign-in",
            "nobody-here",
            PASSWORD,
            Typed,
            "User name or password is wrong.",
        ),
        (
            "sign-in",
            taken.user_name.as_str(),
            "wrong password",
            Pasted,
            "User name or password is wrong.",
        ),
    ] {
        enter(browser, &format!("#{form}-user-name"), name, way).await?;
        enter(browser, &format!("#{form}-password"), password, way).await?;
        browser.click(&format!("#{form}-submit")).await?;
        let section = format!("section[aria-labelledby={form}-heading]");
        browser
            .says(&section, expected)
            .await
            .with_context(|| format!("{form} {name:?}"))?;
        let kept = browser
            .find(&format!("#{form}-user-name"))
            .await?
            .prop("value")
            .await?;
        ensure!(
            kept.as_deref() == Some(name),
            "{kept:?} is left of {name:?}"
        );
    }
    // What is right gets in, whatever the spaces around the name, with Enter in a field.
    browser
        .fill("#sign-in-user-name", &format!(" {} ", taken.user_name))
        .await?;
    browser.fill("#sign-in-password", PASSWORD).await?;
    browser
        .find("#sign-in-password")
        .await?
        .send_keys(Key::Enter + "")
        .await?;
    browser.find("#own-iban").await.map(drop)
}

/// Every code of the gateway, and what people read.
const REFUSALS: &[(&str, &str)] = &[
    (
        "BAD_REQUEST",
        "Not sent to the bank: said the gateway. Nothing was paid.",
    ),
    (
        "VALIDATION",
        "Not sent to the bank: said the gateway. Nothing was paid.",
    ),
    (
        "FORBIDDEN",
        "Not sent to the bank: said the gateway. Nothing was paid.",
    ),
    (
        "NOT_FOUND",
        "Not sent to the bank: said the gateway. Nothing was paid.",
    ),
    (
        "CONFLICT",
        "Rejected: this payment number was used for another payment. The first one stands.",
    ),
    (
        "TOO_COMPLEX",
        "Not sent to the bank: said the gateway. Nothing was paid.",
    ),
    (
        "TOO_LARGE",
        "Not sent to the bank: said the gateway. Nothing was paid.",
    ),
    (
        "RATE_LIMITED",
        "Not known yet whether the bank has your payment.",
    ),
    (
        "UNAVAILABLE",
        "Not known yet whether the bank has your payment.",
    ),
    (
        "INTERNAL",
        "Not known yet whether the bank has your payment.",
    ),
];

pub(crate) async fn given_an_answer_of_the_gateway_when_it_is_a_no_then_people_read_what_to_do(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 10_000).await?;
    customer.enter(browser, &stage.page).await?;
    // Stands between the page and the gateway for mutations: answers with the code it is told.
    browser
        .run(
            "window.honest = window.fetch; window.fetch = async (...all) => { \
             const request = new Request(...all); const text = await request.clone().text(); \
             if (!window.code || !text.includes('\"Transfer\"') && !text.includes('\"Command\"')) return window.honest(request); \
             const errors = [{ message: 'said the gateway', extensions: { code: window.code } }]; \
             return new Response(JSON.stringify({ data: null, errors }), { headers: { 'content-type': 'application/json' } }); }",
            vec![],
        )
        .await?;
    let mut left = 0;
    for (code, words) in REFUSALS {
        browser
            .run("window.code = arguments[0]", vec![json!(code)])
            .await?;
        browser.pay(COMPANY_IBAN, "1", code).await?;
        browser
            .says("#pay-outcome", words)
            .await
            .with_context(|| (*code).to_owned())?;
        let kept = browser
            .find("#pay-description")
            .await?
            .prop("value")
            .await?;
        ensure!(
            kept.as_deref() == Some(*code),
            "{code}: what was typed is lost"
        );
        if words.starts_with("Not known") {
            // The line is honest again: the same payment goes through by itself, once.
            browser.run("window.code = null", vec![]).await?;
            left += 1;
            let mut booked = vec![-100; left];
            booked.push(10_000);
            customer.has_booked(&booked).await?;
            browser
                .holds(
                    "the form is free",
                    "return !document.getElementById('pay-submit').ariaDisabled",
                )
                .await?;
        }
    }
    Ok(())
}

pub(crate) async fn given_markup_in_a_description_when_shown_then_it_is_text(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 10_000).await?;
    let markup = "<script>window.hacked = 1</script><img src=x onerror=window.hacked=2>";
    customer.pay("<b>Shop</b>", 100, markup).await?;
    customer.enter(browser, &stage.page).await?;
    browser.says("#statement", markup).await?;
    browser.says("#statement", "<b>Shop</b>").await?;
    let hacked = browser.run("return window.hacked === undefined && !document.querySelector('#statement img, #statement b')", vec![]).await?;
    ensure!(
        hacked == json!(true),
        "the description was taken for markup"
    );
    Ok(())
}

pub(crate) async fn given_a_password_when_typed_then_it_is_kept_nowhere(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let secret = "a secret nobody may see";
    browser.go(&format!("{}/client", stage.page)).await?;
    browser.fill("#sign-in-user-name", "nobody-here").await?;
    browser.fill("#sign-in-password", secret).await?;
    browser.click("#sign-in-submit").await?;
    browser
        .says(".failure", "User name or password is wrong.")
        .await?;
    let places = browser
        .run(
            "return [location.href, document.documentElement.outerHTML, JSON.stringify(localStorage), \
             JSON.stringify(sessionStorage), document.cookie, document.title].filter(place => place.includes(arguments[0])).length",
            vec![json!(secret)],
        )
        .await?;
    ensure!(places == json!(0), "it is in {places} places");
    let kind = browser
        .find("#sign-in-password")
        .await?
        .attr("type")
        .await?;
    ensure!(kind.as_deref() == Some("password"), "{kind:?}");
    Ok(())
}

pub(crate) async fn given_rows_that_come_in_when_one_types_then_no_letter_is_lost(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 1_000).await?;
    customer.enter(browser, &stage.page).await?;
    let words = "typed while money comes in, letter by letter";
    let field = browser.find("#pay-description").await?;
    let scrolled: Value = browser.run("return scrollY", vec![]).await?;
    for (place, letter) in words.chars().enumerate() {
        field.send_keys(letter.to_string()).await?;
        if place % 4 == 0 {
            customer.deposit(1).await?;
        }
    }
    let arrived = words.chars().count().div_ceil(4);
    browser.balance_is(1_000 + i64::try_from(arrived)?).await?;
    let typed = field.prop("value").await?;
    ensure!(typed.as_deref() == Some(words), "{typed:?}");
    browser
        .holds(
            "the focus stays",
            "return document.activeElement.id === 'pay-description'",
        )
        .await?;
    ensure!(
        browser.run("return scrollY", vec![]).await? == scrolled,
        "the page scrolled by itself"
    );
    Ok(())
}
