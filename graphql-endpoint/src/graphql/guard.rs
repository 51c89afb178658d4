//! A look at the parsed document before anything walks it.
//!
//! The library's own checks follow fragments without remembering them: a few lines of
//! nested fragments would keep it busy for minutes. Here each fragment is measured once.

use std::collections::HashMap;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, OperationType, Selection,
    SelectionSet,
};
use async_graphql::{Name, Positioned, Request};

use super::{COMPLEXITY_MAX, DEPTH_MAX};
use crate::answer::{Code, Refusal};

/// Bytes of a document.
const DOCUMENT_BYTES_MAX: usize = 16 * 1024;
/// Fragments defined in a document.
const FRAGMENTS_MAX: usize = 30;
/// Fields at the root of a query.
const ROOT_FIELDS_MAX: usize = 10;
/// Fields at the root of a mutation: each is a decision of its own.
const MUTATION_FIELDS_MAX: usize = 1;

/// What the document is, once it was found harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The chosen operation is a subscription.
    pub is_subscription: bool,
}

#[derive(Clone, Copy, Default)]
struct Measure {
    /// Fields in all.
    fields: usize,
    /// Levels of fields.
    depth: usize,
    /// Fields of the first level.
    width: usize,
}

/// Parses the document and measures it.
///
/// # Errors
/// VALIDATION for a document that is none, TOO_LARGE and TOO_COMPLEX.
pub fn check(request: &mut Request) -> Result<Checked, Refusal> {
    if request.query.len() > DOCUMENT_BYTES_MAX {
        return Err(Refusal::new(
            Code::TooLarge,
            format!("a document has at most {DOCUMENT_BYTES_MAX} bytes"),
        ));
    }
    let chosen = request.operation_name.clone();
    let document = request
        .parsed_query()
        .map_err(|error| Refusal::validation(error.message))?;
    check_document(document, chosen.as_deref())
}

fn check_document(document: &ExecutableDocument, chosen: Option<&str>) -> Result<Checked, Refusal> {
    if document.fragments.len() > FRAGMENTS_MAX {
        return Err(too_complex());
    }
    let mut guard = Guard {
        fragments: &document.fragments,
        measured: HashMap::new(),
    };
    let mut is_subscription = false;
    for (name, operation) in document.operations.iter() {
        let set = &operation.node.selection_set.node;
        let measure = guard.measure(set, 0)?;
        if measure.fields > COMPLEXITY_MAX || measure.depth > DEPTH_MAX {
            return Err(too_complex());
        }
        let most = match operation.node.ty {
            OperationType::Mutation => MUTATION_FIELDS_MAX,
            OperationType::Query | OperationType::Subscription => ROOT_FIELDS_MAX,
        };
        if measure.width > most {
            return Err(Refusal::new(
                Code::TooComplex,
                format!("at most {most} fields at the root of this operation"),
            ));
        }
        let is_chosen = match &document.operations {
            DocumentOperations::Single(_) => true,
            // A named operation counts here even when it is alone: then it need not be chosen.
            DocumentOperations::Multiple(all) if chosen.is_none() => all.len() == 1,
            DocumentOperations::Multiple(_) => name.map(Name::as_str) == chosen,
        };
        is_subscription |= is_chosen && operation.node.ty == OperationType::Subscription;
    }
    Ok(Checked { is_subscription })
}

fn too_complex() -> Refusal {
    Refusal::new(Code::TooComplex, "the document asks for too much at once")
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

struct Guard<'a> {
    fragments: &'a Fragments,
    /// `None` while a fragment is being measured: meeting it again is a cycle.
    measured: HashMap<&'a str, Option<Measure>>,
}

impl<'a> Guard<'a> {
    fn measure(&mut self, set: &'a SelectionSet, level: usize) -> Result<Measure, Refusal> {
        if level > DEPTH_MAX + FRAGMENTS_MAX {
            return Err(too_complex());
        }
        let mut sum = Measure::default();
        for selection in &set.items {
            let part = match &selection.node {
                Selection::Field(field) => {
                    let inner = self.measure(&field.node.selection_set.node, level + 1)?;
                    Measure {
                        fields: inner.fields.saturating_add(1),
                        depth: inner.depth + 1,
                        width: 1,
                    }
                }
                Selection::InlineFragment(inline) => {
                    self.measure(&inline.node.selection_set.node, level + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    self.fragment(spread.node.fragment_name.node.as_str(), level)?
                }
            };
            sum.fields = sum.fields.saturating_add(part.fields);
            sum.depth = sum.depth.max(part.depth);
            sum.width = sum.width.saturating_add(part.width);
        }
        Ok(sum)
    }

    fn fragment(&mut self, name: &'a str, level: usize) -> Result<Measure, Refusal> {
        match self.measured.get(name) {
            Some(Some(measure)) => return Ok(*measure),
            Some(None) => return Err(Refusal::validation("fragments must not form a cycle")),
            None => {}
        }
        // An unknown fragment is the library's to report.
        let Some(fragment) = self.fragments.get(name) else {
            return Ok(Measure::default());
        };
        self.measured.insert(name, None);
        let measure = self.measure(&fragment.node.selection_set.node, level + 1)?;
        self.measured.insert(name, Some(measure));
        Ok(measure)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::time::{Duration, Instant};

    use super::*;

    fn code(query: &str) -> Option<Code> {
        check(&mut Request::new(query)).err().map(|no| no.code)
    }

    #[test]
    fn a_document_is_refused_for_its_size_before_anything_runs() {
        let deep = format!("{}{}", "{a".repeat(16), "}".repeat(16));
        let wide = format!("{{ a {{ {} }} }}", "b ".repeat(501));
        let long = format!("{{ a(b: \"{}\") }}", "x".repeat(DOCUMENT_BYTES_MAX));
        let roots = format!("{{ {} }}", "a ".repeat(11));
        for (query, refused) in [
            ("{ a }", None),
            ("query A { a } query B { b }", None),
            ("subscription { a { b } }", None),
            ("{ ...F } fragment F on Query { a }", None),
            ("mutation { a }", None),
            ("mutation { a b }", Some(Code::TooComplex)),
            ("mutation { a: x b: x }", Some(Code::TooComplex)),
            (
                "mutation { ...F } fragment F on M { ...G } fragment G on M { a b }",
                Some(Code::TooComplex),
            ),
            (&deep, Some(Code::TooComplex)),
            (&wide, Some(Code::TooComplex)),
            (&long, Some(Code::TooLarge)),
            (&roots, Some(Code::TooComplex)),
            (
                "{ ...F } fragment F on Query { ...F }",
                Some(Code::Validation),
            ),
            (
                "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }",
                Some(Code::Validation),
            ),
            ("{", Some(Code::Validation)),
            ("", Some(Code::Validation)),
        ] {
            assert_eq!(code(query), refused, "{query:.60}");
        }
    }

    #[test]
    fn a_bomb_of_fragments_is_refused_at_once() {
        let mut query = "{ ...f0 }".to_owned();
        for level in 0..29 {
            let next = level + 1;
            write!(query, " fragment f{level} on Q {{ ...f{next} ...f{next} }}").unwrap();
        }
        query.push_str(" fragment f29 on Q { a }");
        let start = Instant::now();
        assert_eq!(code(&query), Some(Code::TooComplex));
        assert!(start.elapsed() < Duration::from_millis(50));
    }

    #[test]
    fn a_named_operation_that_stands_alone_need_not_be_chosen() {
        let checked = check(&mut Request::new("subscription Live { a { b } }"));
        let is_subscription = true;
        assert_eq!(checked, Ok(Checked { is_subscription }));
    }

    #[test]
    fn the_chosen_operation_says_whether_it_is_a_subscription() {
        let text = "query A { a } subscription B { b }";
        for (name, is_subscription) in [(Some("A"), false), (Some("B"), true), (None, false)] {
            let mut request = Request::new(text);
            request.operation_name = name.map(str::to_owned);
            assert_eq!(
                check(&mut request),
                Ok(Checked { is_subscription }),
                "{name:?}"
            );
        }
    }
}
