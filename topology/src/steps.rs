//! The steps of a service, by name, so that tests can stop it between any two.
//!
//! A service that is run has no watcher: passing a step then looks at an empty option. No
//! variable, flag or feature puts one in; only a caller of a service's `run_watched` can,
//! and no program calls that. Which steps there are is each service's own list.

use std::fmt::{self, Debug};
use std::sync::Arc;

/// A watcher's word that the step after this one is to fail.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("stopped after the step {0:?}")]
pub struct Interrupted<S: Debug>(pub S);

type Watcher<S> = dyn Fn(S) -> Result<(), Interrupted<S>> + Send + Sync;

/// Who is told of each step; nobody, unless a test says so.
#[derive(Clone)]
pub struct Steps<S: Debug>(Option<Arc<Watcher<S>>>);

impl<S: Debug> Steps<S> {
    /// Tells `watcher` of each step. It may block, end the process, or have the next
    /// step fail.
    pub fn watched_by(
        watcher: impl Fn(S) -> Result<(), Interrupted<S>> + Send + Sync + 'static,
    ) -> Steps<S> {
        Steps(Some(Arc::new(watcher)))
    }

    /// Whether anybody looks.
    #[must_use]
    pub fn are_watched(&self) -> bool {
        self.0.is_some()
    }

    /// A step is done.
    ///
    /// # Errors
    /// [`Interrupted`] when a watcher wants the next one to fail.
    pub fn pass(&self, step: S) -> Result<(), Interrupted<S>> {
        match &self.0 {
            None => Ok(()),
            Some(watcher) => watcher(step),
        }
    }
}

impl<S: Debug> Default for Steps<S> {
    fn default() -> Steps<S> {
        Steps(None)
    }
}

impl<S: Debug> Debug for Steps<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.are_watched() {
            "watched"
        } else {
            "unwatched"
        })
    }
}
