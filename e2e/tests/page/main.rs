//! The page in a real browser, against one bank for all cases. Each case has a browser profile of its own.
//!
//! Arguments are parts of names of cases to run. `BANK_PAGE` may name a bank in demo mode that runs already. Pictures
//! of every route, and of the page where a case failed, are kept under `target/screenshots`.

mod axe;
mod client;
mod double_pay;
mod employee;
mod fast;
mod forms;
mod how_it_works;
mod keyboard;
mod large;
mod links;
mod live;
mod motion;
mod people;
mod proxy;
mod results;
mod trail;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::Bank;
use e2e::browser::Browser;

/// What a case is given.
pub(crate) struct Stage {
    pub(crate) browser: Browser,
    /// Address of the page, without a slash at its end.
    pub(crate) page: String,
}

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;
type Play = for<'a> fn(&'a Stage) -> Outcome<'a>;
type Case = (&'static str, Play);

/// A case by its function, under the name of the function.
#[macro_export]
macro_rules! cases {
    ($($first:ident $(:: $part:ident)+),+ $(,)?) => {
        &[$((concat!(stringify!($first) $(, "::", stringify!($part))+), |stage| Box::pin($first $(:: $part)+(stage)))),+]
    };
}

const CASES: &[Case] = cases![
    forms::given_the_pay_form_when_filled_in_any_way_then_it_says_what_is_wrong_or_pays_that,
    forms::given_the_forms_of_credentials_when_filled_then_they_say_what_is_wrong,
    forms::given_an_answer_of_the_gateway_when_it_is_a_no_then_people_read_what_to_do,
    forms::given_markup_in_a_description_when_shown_then_it_is_text,
    forms::given_a_password_when_typed_then_it_is_kept_nowhere,
    forms::given_rows_that_come_in_when_one_types_then_no_letter_is_lost,
    double_pay::given_a_double_click_when_paying_then_it_is_paid_once,
    double_pay::given_enter_held_down_when_paying_then_it_is_paid_once,
    double_pay::given_a_double_click_when_depositing_then_it_is_booked_once,
    double_pay::given_no_answer_when_reloaded_then_it_is_paid_once,
    double_pay::given_no_answer_when_a_second_tab_opens_then_it_is_paid_once,
    double_pay::given_a_cut_line_when_paying_then_it_is_paid_once_when_it_is_back,
    double_pay::given_an_answer_that_was_lost_when_the_line_is_back_then_it_is_paid_once,
    double_pay::given_no_answer_when_storage_is_cleared_then_it_is_paid_once,
    double_pay::given_no_answer_when_one_goes_back_and_forth_then_it_is_paid_once,
    double_pay::given_a_payment_that_was_made_when_pay_is_pressed_again_then_it_asks_for_input,
    client::given_a_statement_when_filtered_then_only_what_matches_is_shown_also_live,
    client::given_many_transactions_when_asked_for_older_then_all_come_once,
    client::given_columns_and_rows_when_chosen_then_they_are_remembered,
    client::given_a_statement_when_downloaded_then_it_has_every_transaction,
    client::given_a_cut_line_when_it_is_back_then_nothing_is_missing_and_nothing_twice,
    client::given_another_tab_when_one_signs_out_then_this_one_does_too,
    client::given_sessions_elsewhere_when_one_signs_out_on_all_devices_then_they_end,
    client::given_a_theme_and_formats_when_chosen_then_they_stay,
    client::given_the_keyboard_alone_when_one_pays_then_it_works,
    employee::given_accounts_when_searched_sorted_and_paged_then_the_address_keeps_it,
    employee::given_several_accounts_when_followed_then_each_is_live_and_they_add_up,
    employee::given_a_customer_when_they_open_anothers_account_then_they_see_nothing_of_it,
    employee::given_an_unknown_account_when_opened_then_it_is_said,
    live::given_a_running_bank_when_looked_at_then_the_drawing_has_its_services_topics_and_partitions,
    live::given_the_auditor_when_it_has_judged_then_lamp_and_list_say_what_it_says,
    live::given_a_page_that_opens_when_no_verdict_has_come_then_the_lamp_claims_nothing,
    live::given_a_load_when_set_by_keyboard_then_it_is_achieved_and_stopped,
    live::given_a_topic_when_chosen_then_its_records_are_decoded_filtered_and_paused,
    live::given_a_command_when_sent_twice_then_it_is_booked_once,
    trail::given_a_payment_when_followed_then_its_hops_records_and_entries_are_shown,
    trail::given_a_rejected_payment_when_followed_then_it_says_that_no_money_moved,
    trail::given_no_command_or_a_foreign_one_when_opened_then_it_is_said,
    results::given_every_chart_when_opened_then_it_says_what_was_found_and_can_be_read_as_a_table,
    results::given_the_published_figures_when_drawn_then_they_are_those_of_the_file,
    results::given_a_run_when_another_is_chosen_then_the_page_shows_that_one,
    how_it_works::given_a_customer_when_they_take_the_tour_then_each_step_shows_their_own_command,
    fast::given_a_warm_server_when_the_page_is_opened_then_it_is_small_and_there_within_a_second,
    fast::given_a_thousand_rows_a_second_when_shown_then_the_page_keeps_up,
    keyboard::given_any_route_when_gone_through_by_tab_then_every_stop_is_seen_and_none_is_a_trap,
    keyboard::journeys::given_keys_alone_when_a_customer_opens_pays_errs_mends_and_leaves_then_all_of_it_works,
    keyboard::journeys::given_keys_alone_when_an_employee_searches_sorts_follows_and_sets_the_load_then_all_of_it_works,
    keyboard::journeys::given_keys_alone_when_one_looks_at_the_live_bank_then_all_of_it_works,
    keyboard::journeys::given_keys_alone_when_runs_are_compared_then_all_of_it_works,
    keyboard::journeys::given_keys_alone_when_the_tour_is_taken_then_it_leads_to_its_end,
    keyboard::journeys::given_keys_alone_in_a_narrow_window_when_menus_are_opened_then_escape_closes_them,
    links::given_a_link_to_a_topic_when_opened_then_its_records_are_in_view,
    links::given_a_filter_when_its_link_is_opened_or_left_then_the_statement_follows,
    links::given_runs_that_are_compared_when_their_link_is_opened_then_the_same_is_shown,
    links::given_links_into_every_route_when_opened_then_they_show_what_they_name,
    motion::given_someone_who_prefers_no_motion_when_updates_come_in_then_nothing_is_animated,
    large::given_large_text_when_any_route_is_read_then_nothing_is_cut_off_sideways,
    axe::given_every_route_when_checked_then_axe_finds_nothing_and_pictures_are_kept,
];

/// Where pictures are kept.
pub(crate) fn pictures() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    // target/release/deps/page-...
    let target = test.ancestors().nth(3).context("a test has a folder")?;
    let folder = target.join("screenshots");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[expect(clippy::print_stdout, reason = "a test says how it went")]
fn main() -> Result<ExitCode> {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let chosen: Vec<&Case> = CASES.iter().filter(|(name, _)| is_wanted(name)).collect();
    if std::env::args().any(|argument| argument == "--list") {
        CASES.iter().for_each(|(name, _)| println!("{name}: test"));
        return Ok(ExitCode::SUCCESS);
    }
    if chosen.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let bank = match std::env::var("BANK_PAGE") {
        Ok(_) => None,
        Err(_) => Some(Bank::start("page")?),
    };
    let page = match &bank {
        Some(bank) => bank.page.clone(),
        None => std::env::var("BANK_PAGE")?,
    };
    let folder = std::env::temp_dir().join(format!("bank-page-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut failed = 0;
    for (name, case) in &chosen {
        let started = Instant::now();
        let outcome = runtime.block_on(run(name, *case, &page, &folder));
        let took = started.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("test {name} ... ok ({took:.1} s)"),
            Err(error) => {
                failed += 1;
                println!("test {name} ... FAILED ({took:.1} s)\n    {error:#}");
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!(
        "test result: {} passed; {failed} failed",
        chosen.len() - failed
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn run(name: &str, case: Play, page: &str, folder: &Path) -> Result<()> {
    let stage = Stage {
        browser: Browser::start(folder).await?,
        page: page.to_owned(),
    };
    let mut outcome = case(&stage).await;
    if outcome.is_err() {
        let picture = pictures()?.join(format!("failed-{}.png", name.replace("::", "-")));
        let _ = stage.browser.driver.screenshot(&picture).await;
    } else {
        outcome = quiet(&stage).await;
    }
    stage.browser.stop().await?;
    outcome
}

/// What a case that does not cut the line must leave: an empty console.
async fn quiet(stage: &Stage) -> Result<()> {
    let errors = stage.browser.console_errors().await.unwrap_or_default();
    // A line that was cut on purpose, and answers that are refusals, are told by the browser itself.
    let expected = [
        "net::ERR_",
        "WebSocket connection to",
        "status of 4",
        "status of 5",
    ];
    let unexpected: Vec<_> = errors
        .into_iter()
        .filter(|error| !expected.iter().any(|known| error.contains(known)))
        .collect();
    ensure!(unexpected.is_empty(), "in the console: {unexpected:?}");
    Ok(())
}
