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

use crate::answer::{Code, Refusal};

/// How much one operation may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Levels of fields.
    pub depth: usize,
    /// Fields, counted again for each place a fragment is used.
    pub fields: usize,
}

/// For everything but introspection.
pub const ORDINARY: Extent = Extent {
    depth: 8,
    fields: 200,
};
/// For an operation that asks for the schema and for nothing else, as GraphiQL does.
pub const INTROSPECTION: Extent = Extent {
    depth: 15,
    fields: 500,
};
/// Directives in one operation.
pub const DIRECTIVES_MAX: usize = 10;
/// Bytes of a document.
const DOCUMENT_BYTES_MAX: usize = 8 * 1024;
/// Words, numbers, texts and signs of a document.
const TOKENS_MAX: usize = 2_000;
/// Fragments defined in a document.
const FRAGMENTS_MAX: usize = 5;
/// Aliases in one operation.
const ALIASES_MAX: usize = 10;
/// Fields at the root of a query.
const ROOT_FIELDS_MAX: usize = 5;
/// Fields at the root of a mutation: each is a decision of its own.
const MUTATION_FIELDS_MAX: usize = 1;

/// What the document is, once it was found harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The chosen operation is a subscription.
    pub is_subscription: bool,
    /// The chosen operation is a mutation.
    pub is_mutation: bool,
    /// An operation asks for the schema.
    pub is_introspection: bool,
}

#[derive(Clone, Copy, Default)]
struct Measure {
    /// Fields in all.
    fields: usize,
    /// Levels of fields.
    depth: usize,
    /// Fields of the first level.
    width: usize,
    /// Fields with another name.
    aliases: usize,
    /// Directives on fields and fragments.
    directives: usize,
    /// Fields that ask for the schema.
    introspections: usize,
    /// Fields of the first level that ask for something else.
    others: usize,
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
    if tokens(&request.query) > TOKENS_MAX {
        return Err(too_complex());
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
    let (mut is_subscription, mut is_mutation) = (false, false);
    let mut is_introspection = false;
    for (name, operation) in document.operations.iter() {
        let set = &operation.node.selection_set.node;
        let measure = guard.measure(set, 0)?;
        let asks_only_for_the_schema = measure.introspections > 0 && measure.others == 0;
        let extent = if asks_only_for_the_schema {
            INTROSPECTION
        } else {
            ORDINARY
        };
        if measure.fields > extent.fields
            || measure.depth > extent.depth
            || measure.aliases > ALIASES_MAX
            || measure.directives + operation.node.directives.len() > DIRECTIVES_MAX
        {
            return Err(too_complex());
        }
        is_introspection |= measure.introspections > 0;
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
        is_mutation |= is_chosen && operation.node.ty == OperationType::Mutation;
    }
    Ok(Checked {
        is_subscription,
        is_mutation,
        is_introspection,
    })
}

/// About how many words, numbers, texts and signs there are: enough to tell a large
/// document before it is parsed.
fn tokens(document: &str) -> usize {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte > 127;
    let mut count = 0;
    let mut before = b' ';
    for byte in document.bytes() {
        let blank = byte.is_ascii_whitespace() || byte == b',';
        let goes_on = is_word(byte) && is_word(before);
        if !blank && !goes_on {
            count += 1;
        }
        before = byte;
    }
    count
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
        if level > INTROSPECTION.depth + FRAGMENTS_MAX {
            return Err(too_complex());
        }
        let mut sum = Measure::default();
        for selection in &set.items {
            let part = match &selection.node {
                Selection::Field(field) => {
                    let inner = self.measure(&field.node.selection_set.node, level + 1)?;
                    let name = field.node.name.node.as_str();
                    let is_introspection = matches!(name, "__schema" | "__type");
                    let is_other = !is_introspection && name != "__typename";
                    Measure {
                        fields: inner.fields.saturating_add(1),
                        depth: inner.depth + 1,
                        width: 1,
                        aliases: inner.aliases + usize::from(field.node.alias.is_some()),
                        directives: inner.directives + field.node.directives.len(),
                        introspections: inner.introspections + usize::from(is_introspection),
                        others: usize::from(is_other),
                    }
                }
                Selection::InlineFragment(inline) => {
                    let mut part = self.measure(&inline.node.selection_set.node, level + 1)?;
                    part.directives += inline.node.directives.len();
                    part
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let mut part = self.fragment(name, level)?;
                    part.directives += spread.node.directives.len();
                    part
                }
            };
            sum.fields = sum.fields.saturating_add(part.fields);
            sum.depth = sum.depth.max(part.depth);
            sum.width = sum.width.saturating_add(part.width);
            sum.aliases = sum.aliases.saturating_add(part.aliases);
            sum.directives = sum.directives.saturating_add(part.directives);
            sum.introspections = sum.introspections.saturating_add(part.introspections);
            sum.others = sum.others.saturating_add(part.others);
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
        let deep = format!("{}{}", "{a".repeat(9), "}".repeat(9));
        let wide = format!("{{ a {{ {} }} }}", "b ".repeat(200));
        let long = format!("{{ a(b: \"{}\") }}", "x".repeat(DOCUMENT_BYTES_MAX));
        let roots = format!("{{ {} }}", "a ".repeat(6));
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
        for level in 0..4 {
            let next = level + 1;
            let spreads = format!("...f{next} ").repeat(20);
            write!(query, " fragment f{level} on Q {{ {spreads} }}").unwrap();
        }
        query.push_str(" fragment f4 on Q { a }");
        let start = Instant::now();
        assert_eq!(code(&query), Some(Code::TooComplex));
        assert!(start.elapsed() < Duration::from_millis(50));
    }

    #[test]
    fn a_named_operation_that_stands_alone_need_not_be_chosen() {
        let checked = check(&mut Request::new("subscription Live { a { b } }"));
        assert!(checked.unwrap().is_subscription);
    }

    #[test]
    fn the_chosen_operation_says_whether_it_is_a_subscription() {
        let text = "query A { a } subscription B { b }";
        for (name, is_subscription) in [(Some("A"), false), (Some("B"), true), (None, false)] {
            let mut request = Request::new(text);
            request.operation_name = name.map(str::to_owned);
            let checked = check(&mut request).unwrap();
            assert_eq!(checked.is_subscription, is_subscription, "{name:?}");
        }
    }
}
