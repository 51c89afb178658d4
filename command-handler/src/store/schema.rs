//! The tables the cold paths touch, for diesel. The whole schema is the synchronizer's.
#![expect(
    missing_docs,
    reason = "names of tables and columns, explained where they are made"
)]

diesel::table! {
    outcome (command_id) {
        command_id -> Uuid,
        request_hash -> Binary,
        kind -> Text,
        rejection -> Nullable<Text>,
        observed_version -> Nullable<BigInt>,
        source_topic -> Text,
        source_partition -> Integer,
        source_offset -> BigInt,
        frames -> Binary,
    }
}

diesel::table! {
    emission_debt (debt_id) {
        debt_id -> BigInt,
        owner -> BigInt,
        command_ids -> Array<Uuid>,
        dead_letters -> Nullable<Binary>,
    }
}

diesel::table! {
    consumer_offset (topic, partition) {
        topic -> Text,
        partition -> Integer,
        next_offset -> BigInt,
        owner_epoch -> BigInt,
    }
}
