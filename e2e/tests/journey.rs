//! A person's way through the page, in a real browser.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Bank, PATIENCE, eventually};
use thirtyfour::prelude::*;

const PASSWORD: &str = "correct horse battery";
const COMPANY_IBAN: &str = "NL66OPEN0000000000";

/// A headless Chromium behind its driver.
struct Browser {
    driver: WebDriver,
    /// Ends after the driver's last words.
    _processes: Processes,
}

/// chromedriver and the Chromium it starts; they end with the test, however it ends.
struct Processes {
    chromedriver: Child,
    /// Names Chromium's processes: no other has it on its command line.
    profile: PathBuf,
}

impl Drop for Processes {
    fn drop(&mut self) {
        // Both are gone already after a quit; then there is nothing to do.
        let _ = self.chromedriver.kill();
        let _ = self.chromedriver.wait();
        let profile = self.profile.to_string_lossy();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command_line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command_line).contains(&*profile) {
                let _ = Command::new("kill")
                    .arg("-KILL")
                    .arg(process.file_name())
                    .stderr(Stdio::null())
                    .status();
            }
        }
    }
}

impl Browser {
    async fn start(bank: &Bank) -> Result<Browser> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let chromedriver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver is missing; `cargo bank test` installs it")?;
        let profile = bank.directory().join("browser");
        let processes = Processes {
            chromedriver,
            profile: profile.clone(),
        };
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,800",
        ] {
            capabilities.add_arg(argument)?;
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.display()))?;
        let address = format!("http://127.0.0.1:{port}");
        let driver = eventually("the browser starts", PATIENCE, async || {
            Ok(WebDriver::new(&address, capabilities.clone()).await?)
        })
        .await?;
        Ok(Browser {
            driver,
            _processes: processes,
        })
    }

    async fn find(&self, selector: &str) -> Result<WebElement> {
        eventually(selector, PATIENCE, async || {
            let element = self.driver.find(By::Css(selector)).await?;
            ensure!(element.is_displayed().await?, "{selector} is not shown");
            Ok(element)
        })
        .await
    }

    async fn click(&self, selector: &str) -> Result<()> {
        eventually(&format!("click {selector}"), PATIENCE, async || {
            Ok(self.find(selector).await?.click().await?)
        })
        .await
    }

    async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.find(selector).await?;
        field.clear().await?;
        Ok(field.send_keys(text).await?)
    }

    /// Waits until the balance in the page is this.
    async fn balance_is(&self, cents: i64) -> Result<()> {
        eventually(&format!("the balance is {cents}"), PATIENCE, async || {
            let shown = self.find("#balance").await?.attr("value").await?;
            ensure!(
                shown.as_deref() == Some(cents.to_string().as_str()),
                "{shown:?}"
            );
            Ok(())
        })
        .await
    }

    /// Waits until the statement shows exactly these confirmed changes, newest first.
    async fn statement_is(&self, changes: &[i64]) -> Result<()> {
        eventually(
            &format!("the statement is {changes:?}"),
            PATIENCE,
            async || {
                let rows = self
                    .driver
                    .find_all(By::Css("#statement [data-state=confirmed][data-version]"))
                    .await?;
                let mut shown = Vec::new();
                for row in rows {
                    let cents = row.attr("data-changed-by").await?.context("no change")?;
                    shown.push(cents.parse::<i64>()?);
                }
                ensure!(shown == changes, "{shown:?}");
                Ok(())
            },
        )
        .await
    }

    async fn sign_in(&self, user_name: &str, password: &str) -> Result<()> {
        self.fill("#sign-in-user-name", user_name).await?;
        self.fill("#sign-in-password", password).await?;
        self.click("#sign-in-submit").await
    }

    async fn stop(self) -> Result<()> {
        Ok(self.driver.quit().await?)
    }
}

async fn walk(bank: &Bank, browser: &Browser) -> Result<()> {
    let user_name = "journey-customer";
    browser.driver.goto(&bank.page).await?;
    browser.find("h1").await?;
    browser.find("#statement").await?;

    // Open an account.
    browser.click("#nav-client").await?;
    browser.fill("#open-user-name", user_name).await?;
    browser.fill("#open-password", PASSWORD).await?;
    browser.click("#open-submit").await?;
    let iban = browser.find("#own-iban").await?;
    let iban = iban.attr("data-iban").await?.context("no IBAN")?;
    ensure!(iban.starts_with("NL") && iban.contains("OPEN"), "{iban}");
    browser.balance_is(0).await?;

    // Deposit and pay.
    browser.click("#deposit-10000").await?;
    browser.balance_is(10_000).await?;
    browser.fill("#pay-to", "NL66 OPEN 0000 0000 00").await?;
    browser.fill("#pay-amount", "12,34").await?;
    browser.fill("#pay-description", "A book").await?;
    browser.click("#pay-submit").await?;
    browser.balance_is(8_766).await?;
    browser.statement_is(&[-1_234, 10_000]).await?;

    // What cannot be paid is told under its field, and what was typed stays.
    browser.fill("#pay-to", "NL67 OPEN 0000 0000 00").await?;
    browser.fill("#pay-amount", "twelve").await?;
    browser.click("#pay-submit").await?;
    browser.find("#error-summary").await?;
    browser.find("#pay-amount-error").await?;
    browser.find("#pay-to-error").await?;
    let typed = browser.find("#pay-amount").await?.prop("value").await?;
    ensure!(typed.as_deref() == Some("twelve"), "{typed:?}");

    // Reload: still signed in, the same statement.
    browser.driver.refresh().await?;
    browser.balance_is(8_766).await?;
    browser.statement_is(&[-1_234, 10_000]).await?;

    // Sign out, sign in again.
    browser.click("#sign-out").await?;
    browser.sign_in(user_name, PASSWORD).await?;
    browser.balance_is(8_766).await?;
    browser.statement_is(&[-1_234, 10_000]).await?;
    browser.click("#sign-out").await?;

    // The employee sees the same account.
    browser.click("#nav-employee").await?;
    browser.click("#demo-employee").await?;
    browser
        .click(&format!("#account-list [data-iban='{iban}']"))
        .await?;
    browser.statement_is(&[-1_234, 10_000]).await?;
    browser.balance_is(8_766).await?;

    // A payment from elsewhere arrives without anyone touching the page.
    bank.data(
        "mutation($input: LogInInput!) { logIn(input: $input) { user { userName } } }",
        serde_json::json!({ "input": { "userName": user_name, "password": PASSWORD } }),
    )
    .await?;
    bank.data(
        "mutation($input: TransferInput!) { transfer(input: $input) { __typename } }",
        serde_json::json!({ "input": {
            "commandId": uuid::Uuid::new_v4(), "to": COMPANY_IBAN,
            "amount": "66", "description": "live",
        } }),
    )
    .await?;
    browser.statement_is(&[-66, -1_234, 10_000]).await?;
    browser.balance_is(8_700).await
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_person_when_they_use_the_page_then_they_see_their_money_move() -> Result<()> {
    let bank = Bank::start("journey")?;
    let browser = Browser::start(&bank).await?;
    let walked = walk(&bank, &browser).await;
    if walked.is_err() {
        let picture = bank.directory().join("logs").join("journey.png");
        let _ = browser.driver.screenshot(&picture).await;
    }
    browser.stop().await?;
    walked?;
    bank.wait_until_quiet(Duration::from_secs(20)).await?;
    bank.check_invariants().await.map(|_| ())
}
