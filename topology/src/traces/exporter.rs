//! The thread that sends spans, and what a span is on the wire.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use tokio::runtime::{Builder, Runtime};
use tracing::{info, warn};

use super::queue::{Dropped, Ended, Queue};
use super::{Ratio, TracesConfig, Work};
use crate::tls;

/// Longest wait for the collector's answer. Meanwhile the queue fills, then it drops.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for the collector when the process ends, which may take nine seconds in all.
const FINISH_WAIT: Duration = Duration::from_secs(2);
/// Where a collector takes spans, below its base.
const PATH: &str = "/v1/traces";

struct Tracer {
    ratio: Ratio,
    queue: Arc<Queue>,
}

static TRACER: OnceLock<Tracer> = OnceLock::new();

#[inline]
pub(super) fn is_on() -> bool {
    TRACER.get().is_some()
}

#[inline]
pub(super) fn ratio() -> Option<Ratio> {
    TRACER.get().map(|tracer| tracer.ratio)
}

pub(super) fn hand_over(ended: Ended) {
    if let Some(tracer) = TRACER.get() {
        tracer.queue.push(ended);
    }
}

pub(super) fn finish() {
    if let Some(tracer) = TRACER.get()
        && !tracer.queue.finish(FINISH_WAIT)
    {
        warn!("the collector is slow or away: the last spans are not told");
    }
}

pub(super) fn start(config: &TracesConfig, service: &'static str) -> Result<(), String> {
    let name = match config.service_name.as_str() {
        "" => service.to_owned(),
        name => name.to_owned(),
    };
    let queue = Arc::new(Queue::new());
    let sender = Sender::new(&config.otlp_endpoint, name, Arc::clone(&queue))?;
    let tracer = Tracer {
        ratio: config.traces_ratio,
        queue,
    };
    // A second start, as in tests, keeps the first.
    if TRACER.set(tracer).is_ok() {
        std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || sender.run())
            .map_err(|error| error.to_string())?;
        info!(collector = config.otlp_endpoint, "traces are told");
    }
    Ok(())
}

/// What the thread works with.
struct Sender {
    queue: Arc<Queue>,
    exporter: SpanExporter,
    runtime: Runtime,
    scope: InstrumentationScope,
    is_taking: bool,
}

impl Sender {
    fn new(endpoint: &str, service: String, queue: Arc<Queue>) -> Result<Sender, String> {
        let client = tls::trusting(reqwest::Client::builder())
            .timeout(ANSWER_WAIT)
            .build()
            .map_err(|error| error.to_string())?;
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{endpoint}{PATH}"))
            .with_timeout(ANSWER_WAIT)
            .build()
            .map_err(|error| error.to_string())?;
        let version = env!("CARGO_PKG_VERSION");
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.version", version))
            .build();
        exporter.set_resource(&resource);
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Sender {
            queue,
            exporter,
            runtime: runtime.map_err(|error| error.to_string())?,
            scope: InstrumentationScope::builder("the-bank")
                .with_version(version)
                .build(),
            is_taking: true,
        })
    }

    fn run(mut self) {
        while let Some(batch) = self.queue.take() {
            let count = batch.len();
            let spans = batch.into_iter().map(|ended| data(ended, &self.scope));
            let sent = self.runtime.block_on(self.exporter.export(spans.collect()));
            match &sent {
                Ok(()) => self.queue.exported(count),
                Err(_) => self.queue.dropped(count, Dropped::Undelivered),
            }
            // Once for each change, however long it lasts.
            if sent.is_ok() != self.is_taking {
                self.is_taking = sent.is_ok();
                match sent {
                    Ok(()) => info!("the collector takes spans again"),
                    Err(error) => warn!(%error, "the collector takes no spans; they are dropped"),
                }
            }
        }
    }
}

/// A span as OpenTelemetry has it, with the attributes of its conventions for messaging, 1.44.
fn data(Ended { span, end_us }: Ended, scope: &InstrumentationScope) -> SpanData {
    let about = span.about;
    let topic = about.topic.definition().name;
    let operation = span.work.name();
    let (kind, operation_type) = match span.work {
        Work::Send => (SpanKind::Producer, "send"),
        Work::Process | Work::Push => (SpanKind::Consumer, "process"),
    };
    let mut attributes = vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.operation.type", operation_type),
        KeyValue::new("messaging.destination.name", topic),
        KeyValue::new(
            "messaging.destination.partition.id",
            about.partition.to_string(),
        ),
    ];
    if let Some(offset) = about.offset {
        attributes.push(KeyValue::new("messaging.kafka.offset", offset));
    }
    if let Some(group) = about.group {
        attributes.push(KeyValue::new("messaging.consumer.group.name", group));
    }
    if let Some(command_id) = about.command_id {
        let id = command_id.to_string();
        attributes.push(KeyValue::new(
            "messaging.message.conversation_id",
            id.clone(),
        ));
        attributes.push(KeyValue::new("bank.command_id", id));
    }
    if let Some(records) = span.batch {
        attributes.push(KeyValue::new("bank.batch_size", records));
    }
    if let Some(outcome) = span.outcome {
        attributes.push(KeyValue::new("bank.outcome", outcome));
    }
    let mut events = SpanEvents::default();
    let moments = span.moments.into_iter();
    events.events = moments
        .map(|(name, us)| Event::new(name, time(us), Vec::new(), 0))
        .collect();
    let context = SpanContext::new(
        TraceId::from(span.place.trace_id),
        SpanId::from(span.place.span_id),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    SpanData {
        span_context: context,
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: span.parent.is_some(),
        span_kind: kind,
        name: format!("{operation} {topic}").into(),
        start_time: time(span.start_us),
        // Clocks of two machines, or one that was set, must not make a span that ends first.
        end_time: time(end_us.max(span.start_us)),
        attributes,
        dropped_attributes_count: 0,
        events,
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    }
}

fn time(us: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(us).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::metrics;
    use crate::topics::Topic;
    use crate::traces::{About, Place, Span};

    fn ended() -> Ended {
        let about = About {
            topic: Topic::ConfirmMoneyTransfer,
            partition: 3,
            offset: None,
            group: None,
            command_id: None,
        };
        let span = Span {
            work: Work::Send,
            place: Place::new(7),
            parent: None,
            about,
            start_us: 2,
            moments: vec![("decided", 3)],
            batch: None,
            outcome: None,
        };
        Ended { span, end_us: 1 }
    }

    #[test]
    fn given_a_collector_that_is_away_then_spans_are_dropped_and_counted_and_the_end_is_soon() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let endpoint = format!("http://{}", closed.unwrap());
        let queue = Arc::new(Queue::new());
        let sender = Sender::new(&endpoint, "test".to_owned(), Arc::clone(&queue)).unwrap();
        for _ in 0..3 {
            queue.push(ended());
        }
        std::thread::spawn(move || sender.run());
        assert!(queue.finish(FINISH_WAIT));
        let told = metrics::text();
        let line = "bank_spans_dropped_total{reason=\"undelivered\"} 3\n";
        assert!(told.contains(line), "{told}");
    }

    #[test]
    fn given_a_clock_that_was_set_back_then_no_span_ends_before_it_began() {
        let scope = InstrumentationScope::builder("test").build();
        let data = data(ended(), &scope);
        assert_eq!(data.name, "send confirm_money_transfer");
        assert_eq!(data.end_time, data.start_time);
        assert_eq!(data.parent_span_id, SpanId::INVALID);
    }
}
