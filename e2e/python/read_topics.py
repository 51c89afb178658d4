"""Reads every record of every topic, knowing only the broker's and the registry's address.

Prints one JSON object: counts per topic, records that cannot be decoded, the fold of
BalanceChanged per account, and the commands without exactly one outcome.
"""

import io
import json
import struct
import sys
import urllib.request
import uuid

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

READ_TIMEOUT_SECONDS = 30


class Registry:
    """Schemas by id, from the Confluent API."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self.schemas = {}

    def schema(self, schema_id):
        if schema_id not in self.schemas:
            with urllib.request.urlopen(f"{self.url}/schemas/ids/{schema_id}") as answer:
                text = json.load(answer)["schema"]
            self.schemas[schema_id] = fastavro.parse_schema(json.loads(text))
        return self.schemas[schema_id]

    def decode(self, value):
        magic, schema_id = struct.unpack(">bI", value[:5])
        if magic != 0:
            raise ValueError(f"first byte is {magic}")
        schema = self.schema(schema_id)
        stream = io.BytesIO(value[5:])
        record = fastavro.schemaless_reader(stream, schema)
        rest = stream.read()
        if rest:
            raise ValueError(f"{len(rest)} bytes after the record")
        return schema["name"], record


def read(brokers, topics):
    """Every record there is now, partition by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "independent-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    metadata = consumer.list_topics(timeout=READ_TIMEOUT_SECONDS)
    for topic in topics:
        for partition in metadata.topics[topic].partitions:
            at = TopicPartition(topic, partition, OFFSET_BEGINNING)
            low, high = consumer.get_watermark_offsets(at, timeout=READ_TIMEOUT_SECONDS)
            if low == high:
                continue
            consumer.assign([at])
            while True:
                message = consumer.poll(READ_TIMEOUT_SECONDS)
                if message is None:
                    raise TimeoutError(f"{topic} [{partition}] stopped before {high}")
                if message.error():
                    raise RuntimeError(message.error())
                yield message
                if message.offset() + 1 >= high:
                    break
    consumer.close()


def main(brokers, registry_url):
    topics = [
        "heartbeat",
        "confirm_account_creation",
        "confirm_money_transfer",
        "account_creation_feedback",
        "money_transfer_feedback",
        "balance_changed",
        "dead_letters",
    ]
    registry = Registry(registry_url)
    counts = {topic: 0 for topic in topics}
    undecodable = []
    commands = set()
    outcomes = {}
    changes = {}
    for message in read(brokers, topics):
        topic = message.topic()
        counts[topic] += 1
        if topic == "dead_letters":
            continue
        place = f"{topic} {message.partition()}:{message.offset()}"
        try:
            name, record = registry.decode(message.value())
        except Exception as error:  # every kind of failure is one finding
            undecodable.append(f"{place}: {error}")
            continue
        if topic.startswith("confirm_"):
            commands.add(str(uuid.UUID(bytes=record["id"])))
        elif topic.endswith("_feedback"):
            command = str(uuid.UUID(bytes=record["id"]))
            outcomes.setdefault(command, set()).add(message.value().hex())
        elif topic == "balance_changed" and record.get("version"):
            account = changes.setdefault(record["iban"], {})
            account.setdefault(record["version"], set()).add(
                (record["changed_by"], record["new_balance"])
            )

    findings = []
    balances = {}
    for iban, versions in changes.items():
        balance = 0
        for expected, version in enumerate(sorted(versions), start=1):
            if version != expected:
                findings.append(f"{iban}: version {expected} is missing")
                break
            if len(versions[version]) != 1:
                findings.append(f"{iban}: version {version} has two contents")
            changed_by, new_balance = next(iter(versions[version]))
            balance += changed_by
            if balance != new_balance:
                findings.append(f"{iban}: version {version} does not add up")
        balances[iban] = {"balance_cents": balance, "version": len(versions)}
    findings += [f"command {it} has no outcome" for it in sorted(commands - set(outcomes))]
    findings += [f"outcome {it} has no command" for it in sorted(set(outcomes) - commands)]
    findings += [
        f"command {it} has {len(answers)} different outcomes"
        for it, answers in outcomes.items()
        if len(answers) != 1
    ]
    json.dump(
        {
            "counts": counts,
            "undecodable": undecodable,
            "findings": findings,
            "balances": balances,
            "commands": len(commands),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
