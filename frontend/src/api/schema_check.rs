//! For tests: whether an operation of the page stands in the schema, down to the last field and argument.

use async_graphql_parser::{
    parse_query,
    types::{
        BaseType, FieldDefinition, OperationType, Selection, SelectionSet, ServiceDocument,
        TypeDefinition, TypeKind, TypeSystemDefinition,
    },
};

/// Panics with the place where the query leaves the schema.
pub(super) fn check(schema: &ServiceDocument, query: &str) {
    let document = parse_query(query).unwrap_or_else(|error| panic!("{error}: {query}"));
    for (_, operation) in document.operations.iter() {
        let root = match operation.node.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        for variable in &operation.node.variable_definitions {
            let name = base_name(&variable.node.var_type.node.base);
            assert!(
                name == "Int" || name == "String" || find(schema, &name).is_some(),
                "no type {name}"
            );
        }
        check_selection(schema, root, &operation.node.selection_set.node, query);
    }
}

fn check_selection(schema: &ServiceDocument, on: &str, selection: &SelectionSet, query: &str) {
    let definition = find(schema, on);
    for item in &selection.items {
        match &item.node {
            Selection::Field(field) => {
                let name = field.node.name.node.as_str();
                if name == "__typename" {
                    continue;
                }
                let found = definition.and_then(|definition| field_of(definition, name));
                let found = found.unwrap_or_else(|| panic!("{on} has no field {name}: {query}"));
                for (argument, _) in &field.node.arguments {
                    let known = found
                        .arguments
                        .iter()
                        .any(|known| known.node.name.node == argument.node);
                    assert!(
                        known,
                        "{on}.{name} has no argument {}: {query}",
                        argument.node
                    );
                }
                for argument in &found.arguments {
                    let is_needed =
                        !argument.node.ty.node.nullable && argument.node.default_value.is_none();
                    let is_given = field
                        .node
                        .arguments
                        .iter()
                        .any(|(given, _)| given.node == argument.node.name.node);
                    assert!(
                        is_given || !is_needed,
                        "{on}.{name} needs {}: {query}",
                        argument.node.name.node
                    );
                }
                let inner = base_name(&found.ty.node.base);
                let is_leaf = find(schema, &inner).is_none_or(|definition| {
                    matches!(definition.kind, TypeKind::Scalar | TypeKind::Enum(_))
                });
                let selects = !field.node.selection_set.node.items.is_empty();
                assert_ne!(is_leaf, selects, "{on}.{name} is {inner}: {query}");
                check_selection(schema, &inner, &field.node.selection_set.node, query);
            }
            Selection::InlineFragment(fragment) => {
                let condition = fragment
                    .node
                    .type_condition
                    .as_ref()
                    .expect("the page names the type");
                let member = condition.node.on.node.as_str();
                let is_member = definition.is_some_and(|definition| match &definition.kind {
                    TypeKind::Union(union) => {
                        union.members.iter().any(|known| known.node == member)
                    }
                    _ => false,
                });
                assert!(is_member, "{on} is never {member}: {query}");
                check_selection(schema, member, &fragment.node.selection_set.node, query);
            }
            Selection::FragmentSpread(_) => panic!("the page has no named fragments: {query}"),
        }
    }
}

fn find<'a>(schema: &'a ServiceDocument, name: &str) -> Option<&'a TypeDefinition> {
    schema
        .definitions
        .iter()
        .find_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) if definition.node.name.node == name => {
                Some(&definition.node)
            }
            _ => None,
        })
}

fn field_of<'a>(definition: &'a TypeDefinition, name: &str) -> Option<&'a FieldDefinition> {
    match &definition.kind {
        TypeKind::Object(object) => object
            .fields
            .iter()
            .map(|field| &field.node)
            .find(|field| field.name.node == name),
        _ => None,
    }
}

fn base_name(base: &BaseType) -> String {
    match base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(inner) => base_name(&inner.base),
    }
}
