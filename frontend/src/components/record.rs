//! One record of a topic, opened: its fields, headers, schema and size.

use leptos::prelude::*;

use crate::{
    api::records::{Field, TopicRecord},
    formats, records,
};

#[component]
pub(crate) fn RecordFields(record: TopicRecord) -> impl IntoView {
    let version = record
        .schema_version
        .map(|version| format!(" version {version}"))
        .unwrap_or_default();
    let headers = if record.headers.is_empty() {
        view! { <p class="hint">"no headers"</p> }.into_any()
    } else {
        view! { <FieldList fields=record.headers label="Headers"/> }.into_any()
    };
    let about = format!(
        "{}, schema id {}{version}, {} bytes, key {}",
        record.schema_name,
        record.schema_id,
        formats::count(record.bytes),
        record.key
    );
    view! {
        <div class="record-fields">
            <FieldList fields=record.fields label="Fields"/>
            {headers}
            <p class="serial">{about}</p>
        </div>
    }
}

#[component]
fn FieldList(fields: Vec<Field>, label: &'static str) -> impl IntoView {
    let rows = fields.into_iter().map(|field| {
        let value = records::in_words(&field);
        view! { <div><dt>{field.name}</dt><dd translate="no">{value}</dd></div> }
    });
    view! {
        <p class="label">{label}</p>
        <dl class="fields">{rows.collect_view()}</dl>
    }
}
