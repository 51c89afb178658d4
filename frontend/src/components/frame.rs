//! What stands around every route: bar, banner, footer, live regions; focus and title on a route change.

use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate},
};

use super::{
    auditor_lamp::AuditorLamp,
    connection_banner::{ConnectionBanner, LiveWord},
    settings::Settings,
};
use crate::{
    announcer::Announcements,
    browser,
    connection::Connection,
    session::{Session, Who},
};

/// Heading of what is new on a route whose page stays, such as the chosen account.
const INNER_HEADING: &str = "[data-heading]";
const HEADING: &str = "h1";

/// Id, address and name of what stands in the menu.
const ROUTES: [(&str, &str, &str); 6] = [
    ("nav-client", "/client", "Client"),
    ("nav-employee", "/employee", "Bank employee"),
    ("nav-live", "/live", "Live"),
    ("nav-trail", "/trail", "Trail"),
    ("nav-results", "/results", "Results"),
    ("nav-how-it-works", "/how-it-works", "How it works"),
];

/// Names the page: `Client - the Bank`.
pub(crate) fn name_page(name: impl Fn() -> String + 'static) {
    Effect::new(move |_| {
        let name = name();
        document().set_title(&if name.is_empty() {
            "the Bank".to_owned()
        } else {
            format!("{name} - the Bank")
        });
    });
}

/// Goes to an address of the page, one step back to undo; nothing scrolls but to what takes the focus.
pub(crate) fn going() -> Callback<String> {
    let navigate = use_navigate();
    Callback::new(move |address: String| {
        let options = NavigateOptions {
            scroll: false,
            ..NavigateOptions::default()
        };
        navigate(&address, options);
    })
}

#[component]
pub(crate) fn Frame(children: Children) -> impl IntoView {
    let path = use_location().pathname;
    let session: Session = expect_context();
    let connection: Connection = expect_context();
    Effect::new(move |before: Option<String>| {
        let path = path.get();
        if before.is_some_and(|before| before != path) {
            // What came back stays said until the next route.
            connection.dismiss();
            // Who works with a control that is still there goes on with it.
            request_animation_frame(|| {
                _ = browser::is_in_control()
                    || browser::focus(INNER_HEADING)
                    || browser::focus(HEADING);
            });
        }
        path
    });
    let is_signed_in = Memo::new(move |_| match session.who.get() {
        Who::Asking | Who::Unknown(_) => None,
        Who::Nobody => Some(false),
        Who::User(_) => Some(true),
    });
    // Signing in or out replaces what is on the page, with the element that had the focus.
    Effect::new(move |before: Option<Option<bool>>| {
        let now = is_signed_in.get();
        if before.flatten().is_some_and(|before| Some(before) != now) {
            request_animation_frame(|| _ = browser::focus(HEADING));
        }
        now
    });
    let skip = |event: web_sys::MouseEvent| {
        event.prevent_default();
        browser::focus("#main");
    };
    let is_open = RwSignal::new(false);
    // The menu has led somewhere, or the reader went elsewhere.
    Effect::new(move |_| {
        path.track();
        is_open.set(false);
    });
    let close = window_event_listener(leptos::ev::keydown, move |event| {
        if event.key() != "Escape" || browser::fold() {
            return;
        }
        if is_open.get_untracked() {
            is_open.set(false);
            browser::focus("#menu");
        }
    });
    on_cleanup(move || close.remove());
    let link = move |id: &'static str, href: &'static str, name: &'static str| {
        let here = move || {
            let path = path.get();
            let is_here = path == href || (href != "/" && path.starts_with(&format!("{href}/")));
            is_here.then_some("page")
        };
        view! { <a id=id href=href aria-current=here>{name}</a> }
    };
    let entry = move |(id, href, name)| view! { <li>{link(id, href, name)}</li> };
    let is_home = move || path.get() == "/";
    let version = move || {
        session.bank.get().map(|bank| {
            let started = browser::local_time(&bank.started_at);
            format!("Version {}, started {}", bank.version, started.in_full())
        })
    };
    view! {
        <a class="skip" href="#main" on:click=skip>"Skip to the page"</a>
        <header class="bar">
            <nav aria-label="Pages">
                {link("nav-home", "/", "the Bank")}
                <button
                    type="button"
                    id="menu"
                    aria-expanded=move || is_open.get().to_string()
                    aria-controls="menu-list"
                    on:click=move |_| is_open.update(|open| *open = !*open)
                >
                    "Menu"
                </button>
                <div id="menu-list" class:open=move || is_open.get()>
                    <ul>{ROUTES.map(entry)}</ul>
                    <Settings place="menu"/>
                </div>
            </nav>
            <div class="state">
                <AuditorLamp/>
                <LiveWord/>
            </div>
        </header>
        <ConnectionBanner/>
        <main id="main" tabindex="-1">{children()}</main>
        <footer>
            <p>{version}</p>
            <p>
                {move || session.bank.get().filter(|bank| bank.demo_mode).map(|_| "Demo mode: no money is real. ")}
                <a href="/graphiql" rel="external">"GraphiQL"</a>
            </p>
            <Show when=move || !is_home()><Settings place="footer"/></Show>
        </footer>
        <Announcements/>
    }
}
