//! The page as a whole: its state, its frame, its routes.

#![expect(
    unreachable_pub,
    reason = "what the component macro makes of a component is `pub`"
)]

use leptos::prelude::*;
use leptos_router::{
    components::{Route, Router, Routes},
    path,
};

use crate::{
    announcer::Announcer,
    api::line::Line,
    choices::Choices,
    chosen_formats,
    components::frame::Frame,
    connection::Connection,
    pages::{
        client::Client, employee::Employee, home::Home, how_it_works::HowItWorks, live::Live,
        not_found::NotFound, results::Results, trail::Trail,
    },
    payments::Payments,
    session::Session,
    watching::Watching,
};

#[component]
pub(crate) fn App() -> impl IntoView {
    chosen_formats::begin();
    let announcer = Announcer::provide();
    let connection = Connection::provide(announcer);
    let session = Session::provide(Line::provide(connection));
    Choices::provide();
    Payments::provide(session, announcer);
    Watching::provide(session, announcer);
    view! {
        <Router>
            <Frame>
                <Routes fallback=NotFound>
                    <Route path=path!("/") view=Home/>
                    <Route path=path!("/client") view=Client/>
                    <Route path=path!("/employee/:iban?") view=Employee/>
                    // The drawing stays when a topic below it is chosen: `/live`, `/live/topics/:topic`.
                    <Route path=path!("/live/:section?/:topic?") view=Live/>
                    <Route path=path!("/trail/:command_id?") view=Trail/>
                    <Route path=path!("/results/:chart?") view=Results/>
                    <Route path=path!("/how-it-works/:step?") view=HowItWorks/>
                </Routes>
            </Frame>
        </Router>
    }
}
