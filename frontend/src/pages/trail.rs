//! Record trail: one command, all its hops on one scale, its records, the entries it made. The command is in the
//! address.

use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_params_map;

use again::Again;
use choose::Choose;
use parts::{Entries, Records, Summary};

use crate::{
    announcer::Announcer,
    api::{
        http,
        records::{self, TrailAnswer},
        response::{ApiError, ErrorCode},
        types::{CommandId, Role},
    },
    browser,
    components::{frame::name_page, gate::Gate, statement::LoadingLines, time_line::TimeLineView},
    figures,
    hops::{self, Answer},
    session::Session,
    words,
};

mod again;
mod choose;
mod parts;

const SENTENCE: &str = "The way of one payment: the command, the bank's answer, both changes, and the time each hop took. \
    A customer sees their own; bank employees see all.";
/// The bank needs so long at most in quiet times; a trail that is not whole yet is looked at again.
const LOOK_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_millis(400);
const LOOKS_MAX: u32 = 12;

#[component]
pub(crate) fn Trail() -> impl IntoView {
    let params = use_params_map();
    let chosen = Memo::new(move |_| params.with(|params| params.get("command_id")));
    let has_errors = RwSignal::new(false);
    name_page(move || {
        if has_errors.get() {
            "Error: Trail".to_owned()
        } else {
            "Trail".to_owned()
        }
    });
    let content = move || match chosen.get() {
        None => view! { <Choose wrong=None/> }.into_any(),
        Some(text) => match uuid::Uuid::parse_str(&text) {
            Ok(id) => view! { <Followed id=CommandId(id)/> }.into_any(),
            Err(_) => view! { <Choose wrong=Some(text)/> }.into_any(),
        },
    };
    view! {
        <div class="route trail">
            <Gate title="Trail" sentence=SENTENCE role=Role::Customer has_errors=has_errors>
                {content}
            </Gate>
        </div>
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Loading,
    Known(Box<Found>),
    Unknown,
    Failed(String),
}

/// The answer; the route has the same name.
type Found = records::Trail;

#[component]
fn Followed(id: CommandId) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let phase = RwSignal::new(Phase::Loading);
    let look = move || {
        spawn_local(async move {
            for _ in 0..LOOKS_MAX {
                let found = http::send::<TrailAnswer>(&records::trail(id)).await;
                let is_whole =
                    matches!(&found, Ok(TrailAnswer { trail: Some(trail) }) if is_whole(trail));
                let is_error = found.is_err();
                let next = phase_of(found, session);
                if phase.try_get_untracked().is_none() {
                    return;
                }
                if phase.get_untracked() != next {
                    phase.set(next);
                }
                if is_whole || is_error {
                    return;
                }
                browser::sleep(LOOK_AGAIN_AFTER).await;
            }
        });
    };
    look();
    let again = move |_| {
        phase.set(Phase::Loading);
        look();
    };
    let text = id.0.to_string();
    let copied = text.clone();
    let copy = move |_| {
        let text = copied.clone();
        spawn_local(async move {
            let is_copied = browser::copy(&text).await;
            announcer.status(if is_copied {
                "Command id copied."
            } else {
                "Copying is blocked here."
            });
        });
    };
    let content = move || {
        match phase.get() {
        Phase::Loading => view! { <LoadingLines/> }.into_any(),
        Phase::Unknown => view! {
            <p class="empty">"The gateway has never seen this command, or it is not yours. " <a href="/trail">"Choose another"</a></p>
        }
        .into_any(),
        Phase::Failed(words) => view! {
            <p class="failure">{words}</p>
            <button type="button" on:click=again>"Try again"</button>
        }
        .into_any(),
        Phase::Known(trail) => view! { <Whole trail=*trail id=id look=Callback::new(move |()| look())/> }.into_any(),
    }
    };
    view! {
        <div class="section-head">
            <h1 tabindex="-1">"Trail"</h1>
            <p class="command-id">
                <span class="label">"command "</span>
                <span class="serial" translate="no" data-command-id=text.clone()>{text.clone()}</span>
                <button type="button" class="small" on:click=copy aria-label="Copy the command id">"Copy"</button>
            </p>
        </div>
        {content}
    }
}

/// Nothing more is to come.
fn is_whole(trail: &Found) -> bool {
    match hops::answer(trail) {
        Answer::None => false,
        Answer::Rejected(_) => true,
        Answer::Confirmed => !trail.changes.is_empty() && !trail.transactions.is_empty(),
    }
}

fn phase_of(found: Result<TrailAnswer, ApiError>, session: Session) -> Phase {
    match found {
        Ok(TrailAnswer { trail: Some(trail) }) => Phase::Known(Box::new(trail)),
        Ok(TrailAnswer { trail: None }) => Phase::Unknown,
        Err(error) if error.is(ErrorCode::NotFound) || error.is(ErrorCode::Forbidden) => {
            Phase::Unknown
        }
        Err(error) => {
            if error.is(ErrorCode::Unauthenticated) {
                session.ask();
            }
            Phase::Failed(words::load_failure(&error))
        }
    }
}

#[component]
fn Whole(trail: Found, id: CommandId, look: Callback<()>) -> impl IntoView {
    let line = hops::time_line(&trail.hops);
    let answer = hops::answer(&trail);
    let asked = trail.command.as_ref().and_then(hops::asked);
    let entries = hops::entries(&trail);
    let total = line.total_ms;
    let standing = match (&answer, line.pushed_ms) {
        (Answer::Confirmed, Some(pushed)) => {
            format!("Confirmed in {}", figures::milliseconds(pushed))
        }
        (Answer::Confirmed, None) => "Confirmed".to_owned(),
        (Answer::Rejected(reason), _) => format!("Rejected: {reason}. No money moved"),
        (Answer::None, _) => "Still being processed".to_owned(),
    };
    let has_no_stamps = total.is_none();
    let (command, outcome, changes) = (
        trail.command.clone(),
        trail.outcome.clone(),
        trail.changes.clone(),
    );
    view! {
        <Summary asked=asked.clone() standing=standing answer=answer.clone() command=command.clone()/>
        <section aria-labelledby="hops-heading">
            <h2 id="hops-heading">"Hops"</h2>
            {has_no_stamps.then(|| view! {
                <p class="hint">"This command travelled without stamps: where it was is known, when it was there is not."</p>
            })}
            <TimeLineView line=line/>
        </section>
        <div class="two-columns">
            <Entries entries=entries answer=answer/>
            <Again asked=asked id=id look=look/>
        </div>
        <Records command=command outcome=outcome changes=changes/>
    }
}
