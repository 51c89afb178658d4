//! A headless Chromium behind its driver, and what tests do with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use thirtyfour::common::log::LoggingPrefsLogLevel;
use thirtyfour::prelude::*;

use crate::{PATIENCE, eventually};

/// A headless Chromium behind its driver.
pub struct Browser {
    /// What thirtyfour offers beyond this.
    pub driver: WebDriver,
    /// Of chromedriver.
    address: String,
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
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

impl Browser {
    /// Starts one with a profile of its own in this folder.
    ///
    /// # Errors
    /// When chromedriver is missing or no browser starts.
    pub async fn start(folder: &Path) -> Result<Browser> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let chromedriver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver is missing; `cargo bank test` installs it")?;
        let profile = folder.join(format!("browser-{port}"));
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
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        let address = format!("http://127.0.0.1:{port}");
        let driver = eventually("the browser starts", PATIENCE, async || {
            Ok(WebDriver::new(&address, capabilities.clone()).await?)
        })
        .await?;
        Ok(Browser {
            driver,
            address,
            _processes: processes,
        })
    }

    /// Opens an address.
    ///
    /// # Errors
    /// When the browser cannot go there.
    pub async fn go(&self, address: &str) -> Result<()> {
        Ok(self.driver.goto(address).await?)
    }

    /// Waits until the element is shown.
    ///
    /// # Errors
    /// When it is not shown in time.
    pub async fn find(&self, selector: &str) -> Result<WebElement> {
        eventually(selector, PATIENCE, async || {
            let element = self.driver.find(By::Css(selector)).await?;
            ensure!(element.is_displayed().await?, "{selector} is not shown");
            Ok(element)
        })
        .await
    }

    /// Clicks as soon as it can be.
    ///
    /// # Errors
    /// When it cannot be clicked in time.
    pub async fn click(&self, selector: &str) -> Result<()> {
        eventually(&format!("click {selector}"), PATIENCE, async || {
            Ok(self.find(selector).await?.click().await?)
        })
        .await
    }

    /// Puts a text in the place of what a field holds.
    ///
    /// # Errors
    /// When there is no such field.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.find(selector).await?;
        // As a person does it: the driver's own way of clearing tells the page nothing.
        field.send_keys(Key::Control + "a").await?;
        field.send_keys(Key::Delete + text).await?;
        Ok(())
    }

    /// Presses keys one after the other, wherever the focus is, as a keyboard does.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn press(&self, keys: impl Into<TypingData>) -> Result<()> {
        Ok(self.driver.action_chain().send_keys(keys).perform().await?)
    }

    /// Presses a key while another is held, such as Control.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn press_with(&self, held: Key, key: impl Into<TypingData>) -> Result<()> {
        let held = held.value();
        let chain = self.driver.action_chain().key_down(held).send_keys(key);
        Ok(chain.key_up(held).perform().await?)
    }

    /// Waits until the words are somewhere in the element.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn says(&self, selector: &str, words: &str) -> Result<()> {
        let what = format!("{selector} says {words}");
        eventually(&what, PATIENCE, async || {
            let text = self.text(selector).await?;
            ensure!(text.contains(words), "{text:?}");
            Ok(())
        })
        .await
    }

    /// What stands in the element, with plain spaces; nothing when it is not there.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn text(&self, selector: &str) -> Result<String> {
        let text = self
            .run(
                "const found = document.querySelector(arguments[0]); return found ? found.textContent : ''",
                vec![json!(selector)],
            )
            .await?;
        Ok(text.as_str().unwrap_or_default().replace('\u{a0}', " "))
    }

    /// Runs a script in the page.
    ///
    /// # Errors
    /// When it throws.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Result<Value> {
        Ok(self.driver.execute(script, arguments).await?.json().clone())
    }

    /// Waits until a script in the page says true.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn holds(&self, what: &str, script: &str) -> Result<()> {
        eventually(what, PATIENCE, async || {
            let answer = self.run(script, vec![]).await?;
            ensure!(answer == json!(true), "{answer}");
            Ok(())
        })
        .await
    }

    /// Waits until the balance in the page is this.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn balance_is(&self, cents: i64) -> Result<()> {
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
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn statement_is(&self, changes: &[i64]) -> Result<()> {
        let what = format!("the statement is {changes:?}");
        eventually(&what, PATIENCE, async || {
            let shown = self.statement().await?;
            ensure!(shown == changes, "{shown:?}");
            Ok(())
        })
        .await
    }

    /// The confirmed changes the statement shows, newest first.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn statement(&self) -> Result<Vec<i64>> {
        let shown = self
            .run(
                "return [...document.querySelectorAll('#statement [data-state=confirmed]')]\
                 .map(row => Number(row.dataset.changedBy))",
                vec![],
            )
            .await?;
        Ok(serde_json::from_value(shown)?)
    }

    /// Fills in the form and sends it.
    ///
    /// # Errors
    /// When there is no form.
    pub async fn sign_in(&self, user_name: &str, password: &str) -> Result<()> {
        self.fill("#sign-in-user-name", user_name).await?;
        self.fill("#sign-in-password", password).await?;
        self.click("#sign-in-submit").await
    }

    /// Fills in the form and sends it.
    ///
    /// # Errors
    /// When there is no form.
    pub async fn pay(&self, to: &str, amount: &str, description: &str) -> Result<()> {
        self.fill("#pay-to", to).await?;
        self.fill("#pay-amount", amount).await?;
        self.fill("#pay-description", description).await?;
        self.click("#pay-submit").await
    }

    /// Speaks to the browser itself.
    ///
    /// # Errors
    /// When it does not know the command.
    pub async fn tell(&self, command: &str, parameters: Value) -> Result<Value> {
        let session = self.driver.session_id();
        let answer: Value = reqwest::Client::new()
            .post(format!(
                "{}/session/{session}/goog/cdp/execute",
                self.address
            ))
            .json(&json!({ "cmd": command, "params": parameters }))
            .send()
            .await?
            .json()
            .await?;
        ensure!(answer["value"]["error"].is_null(), "{command}: {answer}");
        Ok(answer["value"].clone())
    }

    /// Sets the window and what the reader prefers.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn look(&self, window: (u32, u32), theme: &str) -> Result<()> {
        self.window(window).await?;
        self.prefers("prefers-color-scheme", theme).await
    }

    /// Sets the window: its width and height in pixels of the page.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn window(&self, (width, height): (u32, u32)) -> Result<()> {
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        )
        .await
        .map(drop)
    }

    /// Sets one thing the reader prefers, such as `prefers-reduced-motion`.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn prefers(&self, what: &str, value: &str) -> Result<()> {
        let features = json!([{ "name": what, "value": value }]);
        self.tell(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await
        .map(drop)
    }

    /// Errors in the browser's log since it was asked last.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn console_errors(&self) -> Result<Vec<String>> {
        let entries = self.driver.browser_log().await?;
        let errors = entries
            .into_iter()
            .filter(|entry| entry.level.eq_ignore_ascii_case("severe"));
        Ok(errors.map(|entry| entry.message).collect())
    }

    /// Ends the browser.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub async fn stop(self) -> Result<()> {
        Ok(self.driver.quit().await?)
    }
}
