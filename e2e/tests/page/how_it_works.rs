//! The guided tour, taken by someone new.

use anyhow::{Result, ensure};

use crate::Stage;
use crate::people::Customer;

pub(crate) async fn given_a_customer_when_they_take_the_tour_then_each_step_shows_their_own_command(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 0).await?;
    customer.enter(browser, &stage.page).await?;
    browser.click("#nav-how-it-works").await?;
    browser.says(".tour-step h2", "You press Pay").await?;
    browser.click("#tour-pay").await?;
    browser.says("#tour-outcome", "Confirmed").await?;
    for (place, heading, words) in [
        (2, "The command is written down", "confirm_money_transfer"),
        (3, "The bank decides", "money_transfer_feedback"),
        (4, "One transaction", "€ 0,00"),
        (5, "The events go out", "balance_changed"),
        (6, "Your page hears of it", "See each hop"),
        (7, "When something dies", "command-handler now: ready"),
        (8, "How we know: the auditor", "list of invariants"),
    ] {
        browser.click(".steps-around .next").await?;
        browser.says(".tour-step h2", heading).await?;
        browser.says(".task", words).await?;
        browser
            .holds(
                "the address keeps it",
                &format!("return location.pathname === '/how-it-works/{place}'"),
            )
            .await?;
        let focused = browser
            .run("return document.activeElement.tagName", vec![])
            .await?;
        ensure!(focused == "H2", "the focus is on {focused}");
        // What the step is about is in ink, the rest steps back.
        browser
            .holds(
                "the drawing shows the part",
                "const all = s => document.querySelectorAll('.tour-drawing ' + s).length; return all('.node:not(.back)') > 0 && all('.node.back') > 0",
            )
            .await?;
    }
    customer.has_booked(&[1_000]).await?;
    browser.driver.back().await?;
    browser.says(".tour-step h2", "When something dies").await
}
