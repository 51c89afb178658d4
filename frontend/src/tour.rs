//! How it works, in eight steps: what each says and which part of the drawing it is about.

/// One step of the tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// In the list.
    pub title: &'static str,
    /// A few sentences, a paragraph each.
    pub text: &'static [&'static str],
    /// Names of parts and lines of the drawing that are in ink.
    pub part: &'static [&'static str],
    /// Where to read on.
    pub code: &'static str,
    /// What to do now.
    pub task: Task,
}

/// What a step lets the reader do with the live bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make a payment of one's own.
    Pay,
    /// Look at the command's own record.
    Command,
    /// Look at the answer; or pay more than there is.
    Decide,
    /// Look at the entries.
    Commit,
    /// Look at the records that went out.
    Events,
    /// Look at the time each hop took.
    Hear,
    /// Kill a handler.
    Kill,
    /// Look at what the auditor says.
    Audit,
}

/// All steps, in their order.
pub const STEPS: [Step; 8] = [
    Step {
        title: "You press Pay",
        text: &[
            "Before anything is sent the page makes an id for the command, and keeps it until there is an answer.",
            "A reload, a second click or a cut line sends the same id again, so that nothing is ever paid twice.",
        ],
        part: &["pages", "asked", "graphql-endpoint"],
        code: "frontend/src/outbox.rs",
        task: Task::Pay,
    },
    Step {
        title: "The command is written down",
        text: &[
            "The gateway checks who you are and writes the command to a topic of Kafka. From then on it survives every crash.",
            "Its key is the account that pays: commands of one account stay in order, those of others need not wait.",
        ],
        part: &[
            "graphql-endpoint",
            "given",
            "transfers-asked",
            "topic:confirm_money_transfer",
        ],
        code: "graphql-endpoint/src/graphql/",
        task: Task::Command,
    },
    Step {
        title: "The bank decides",
        text: &[
            "The handler reads what has come, up to 256 commands, and decides each by rules that know no clock, no network \
             and no database.",
            "A no is an answer too: it is stored and sent.",
        ],
        part: &[
            "topic:confirm_money_transfer",
            "transfers-read",
            "command-handler",
        ],
        code: "command-handler/src/domain/",
        task: Task::Decide,
    },
    Step {
        title: "One transaction",
        text: &[
            "The answer, two entries in the ledger, the new balances and the place in the topic are written in one database \
             transaction: all of it, or nothing.",
            "The two entries sum to zero. Cash and other banks are accounts of the ledger too, so that money is moved and \
             never made.",
        ],
        part: &["command-handler", "booked", "ledger"],
        code: "command-handler/src/store/",
        task: Task::Commit,
    },
    Step {
        title: "The events go out",
        text: &[
            "After the commit the answer goes to one topic, and one BalanceChanged for each account of ours that changed to \
             another.",
            "The transaction has noted them as owed. A handler that dies before Kafka has them leaves the note, and the next \
             one pays the debt with the same bytes.",
        ],
        part: &[
            "command-handler",
            "transfers-answered",
            "changes-told",
            "topic:money_transfer_feedback",
            "topic:balance_changed",
        ],
        code: "command-handler/src/emission.rs",
        task: Task::Events,
    },
    Step {
        title: "Your page hears of it",
        text: &[
            "Each gateway reads the ends of these topics and pushes a change to the pages that follow its account, without \
             asking a database first.",
            "Each change has a version, 1, 2, 3 and so on. A page that was cut off asks from the last version it saw: nothing \
             is missing, nothing comes twice.",
        ],
        part: &[
            "topic:money_transfer_feedback",
            "topic:balance_changed",
            "transfers-heard",
            "changes-heard",
            "graphql-endpoint",
            "pushed",
            "pages",
            "projected",
            "read model",
        ],
        code: "graphql-endpoint/src/live/",
        task: Task::Hear,
    },
    Step {
        title: "When something dies",
        text: &[
            "Kill the handler while commands come in. They wait in their topic; the drawing shows the handler gone and its \
             lag growing.",
            "It is started again, takes up its place from the database, sends what it owed, and catches up.",
        ],
        part: &[
            "command-handler",
            "transfers-read",
            "topic:confirm_money_transfer",
            "ledger",
            "booked",
        ],
        code: "docs/failure-modes.md",
        task: Task::Kill,
    },
    Step {
        title: "How we know: the auditor",
        text: &[
            "A program that shares no code with the services reads all topics and both databases, and checks what must be \
             so: one answer for each command, entries that sum to zero, versions without a hole, balances that are the sum \
             of their changes.",
            "What it cannot check it does not call right.",
        ],
        part: &[
            "auditor",
            "audited-topics",
            "audited-read-model",
            "audited-ledger",
            "ledger",
            "read model",
        ],
        code: "docs/invariants.md",
        task: Task::Audit,
    },
];

/// Which step the address names: 1 to 8; the first where it names none.
#[must_use]
pub fn place(text: Option<&str>) -> Option<usize> {
    match text {
        None | Some("") => Some(0),
        Some(text) => {
            let number: usize = text.parse().ok()?;
            (1..=STEPS.len()).contains(&number).then(|| number - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::status::tests::sample, drawing};

    #[test]
    fn every_part_a_step_names_stands_in_the_drawing() {
        let status = sample();
        let nodes = drawing::nodes(&status);
        let edges = drawing::edges(&status);
        for step in STEPS {
            for part in step.part {
                let is_known = nodes.iter().any(|node| node.id == *part)
                    || edges.iter().any(|edge| edge.id == *part);
                assert!(is_known, "{}: {part}", step.title);
            }
        }
    }

    #[test]
    fn a_step_is_found_by_its_number() {
        assert_eq!(place(None), Some(0));
        assert_eq!(place(Some("8")), Some(7));
        for wrong in ["0", "9", "two", "-1"] {
            assert_eq!(place(Some(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn the_code_a_step_names_exists() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for step in STEPS {
            assert!(root.join(step.code).exists(), "{}", step.code);
        }
    }
}
