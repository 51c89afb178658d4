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
    components::frame::Frame,
    connection::Connection,
    pages::{client::Client, employee::Employee, home::Home, not_found::NotFound},
    payments::Payments,
    session::Session,
};

#[component]
pub(crate) fn App() -> impl IntoView {
    let announcer = Announcer::provide();
    let connection = Connection::provide(announcer);
    let session = Session::provide(connection);
    Payments::provide(session, announcer);
    view! {
        <Router>
            <Frame>
                <Routes fallback=NotFound>
                    <Route path=path!("/") view=Home/>
                    <Route path=path!("/client") view=Client/>
                    <Route path=path!("/employee/:iban?") view=Employee/>
                </Routes>
            </Frame>
        </Router>
    }
}
