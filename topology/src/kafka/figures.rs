//! What librdkafka says of a client every few seconds, as metrics.

use std::time::Duration;

use rdkafka::statistics::Statistics;

use crate::metrics;

/// Takes in one report.
pub(super) fn tell(client: &str, statistics: &Statistics) {
    let labels = [("client", client)];
    // A consumer's round trips are as long as its fetches are told to wait for records.
    if statistics.client_type == "producer" {
        let round_trips = statistics.brokers.values().filter_map(|it| it.rtt.as_ref());
        let slowest = round_trips.map(|window| window.avg).max().unwrap_or(0);
        metrics::gauge(
            "kafka_client_rtt_seconds",
            "Round trip of a producer to its slowest broker, on average over the last seconds.",
            &labels,
        )
        .set_duration(Duration::from_micros(slowest.try_into().unwrap_or(0)));
    }
    metrics::gauge(
        "kafka_client_queue_messages",
        "Records in the client's queue that no broker has acknowledged.",
        &labels,
    )
    .set(i64::try_from(statistics.msg_cnt).unwrap_or(i64::MAX));
    let Some(group) = &statistics.cgrp else {
        return;
    };
    metrics::counter(
        "kafka_client_rebalances_total",
        "Times the group gave out its partitions anew.",
        &labels,
    )
    .set(group.rebalance_cnt.try_into().unwrap_or(0));
    for (topic, statistics) in &statistics.topics {
        let partitions = statistics.partitions.values();
        // Unknown is -1, as it is for every partition that is another member's.
        let known = partitions.map(|it| it.consumer_lag).filter(|lag| *lag >= 0);
        metrics::gauge(
            "kafka_consumer_lag",
            "Records of this member's partitions that are not dealt with.",
            &[("client", client), ("topic", topic)],
        )
        .set(known.sum());
    }
}
