"""Sends one record in a batch compressed with zstd, which the other client cannot do.

Arguments: brokers, topic, partition. The value comes from standard input. Prints one JSON
object: where the record stands, or why it was refused.
"""

import json
import sys

from confluent_kafka import KafkaException, Producer

BYTES_MAX = 40_000_000
DELIVERY_TIMEOUT_SECONDS = 30


def main():
    brokers, topic, partition = sys.argv[1:4]
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "broker.address.family": "v4",
            "compression.codec": "zstd",
            "message.max.bytes": BYTES_MAX,
            "acks": "all",
        }
    )
    answer = {}

    def delivered(error, message):
        answer.update({"error": str(error)} if error else {"offset": message.offset()})

    try:
        value = sys.stdin.buffer.read()
        producer.produce(
            topic, value=value, key="zstd", partition=int(partition), on_delivery=delivered
        )
    except KafkaException as error:
        answer["error"] = str(error)
    producer.flush(DELIVERY_TIMEOUT_SECONDS)
    print(json.dumps(answer or {"error": "not delivered in time"}))


main()
