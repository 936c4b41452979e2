#!/usr/bin/env python3
"""Publish facts straight to Reeve's topic, from Python: confluent-kafka carries them, fastavro encodes them.

    pip install confluent-kafka fastavro
    python examples/publish.py --brokers 127.0.0.1:9092 < facts.jsonl

or, where a schema registry stands beside Kafka and Reeve is told of it (`schema_registry.url`), with Confluent's own framing:

    pip install "confluent-kafka[avro,schemaregistry]"
    python examples/publish.py --brokers 127.0.0.1:9092 --registry http://127.0.0.1:8081 < facts.jsonl

(`--ids-in-headers` as its newer serializers do: a header names the schema, by a GUID.)

Each line is a CloudEvent as the gateway takes it over HTTP:

    {"source": "/platforms/acme/agents/billing", "id": "1", "type": "io.reeve.session.started.v1",
     "subject": "s-1", "time": "2026-03-01T12:00:00Z", "data": {"version": "v1"}}

What a publisher has to get right is in `Publisher`: the framing, the headers, the key, and murmur2. Reeve reads the log
afterwards and cannot send anybody an answer: what it cannot read it names in `record.refused` on the same topic.
"""
import argparse
import json
import sys
from pathlib import Path
from urllib.parse import unquote

from confluent_kafka import KafkaException, Producer
from fastavro import parse_schema, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form
from io import BytesIO

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas" / "events"
SINGLE_OBJECT = b"\xc3\x01"


class Publisher:
    """Facts in, records out: each acknowledged by every in-sync replica, or an error."""

    def __init__(self, brokers: str, topic: str, registry: str | None = None, ids_in_headers: bool = False, schemas: Path = SCHEMAS,
                 **settings: str) -> None:
        self.topic = topic
        self.schemas = schemas
        self.frame = registered(registry, topic, ids_in_headers) if registry else single_object
        self.known = {}
        self.failed = []
        self.producer = Producer({
            "bootstrap.servers": brokers,
            # Exactly once from here to the log, in order, acknowledged by every in-sync replica.
            "enable.idempotence": True,
            # The partitioner is part of the wire: librdkafka's own default is another one.
            "partitioner": "murmur2",
            "compression.type": "zstd",
            "linger.ms": 5,
            **settings,
        })

    def publish(self, event: dict) -> None:
        """Hands one fact over. It is on the log once `close` has returned without an error."""
        kind = event["type"].removeprefix("io.reeve.").removesuffix(".v1")
        attributes = {name: event.get(name) for name in ("id", "source", "type", "time", "subject")}
        headers = [("ce_specversion", "1.0"), ("content-type", "application/avro")]
        headers += [(f"ce_{name}", value) for name, value in attributes.items() if value is not None]
        value = self.framed(kind, event.get("data", {}), headers)
        self.producer.poll(0)
        self.producer.produce(self.topic, key=agent_of(event), value=value, headers=headers, on_delivery=self.delivered)

    def framed(self, kind: str, data: dict, headers: list) -> bytes:
        """Avro that says by its first bytes, or by a header that is added, which schema it was written with."""
        if kind not in self.known:
            self.known[kind] = self.frame((self.schemas / f"{kind}.avsc").read_text())
        return self.known[kind](data, headers)

    def delivered(self, error, record) -> None:
        if error is not None:
            self.failed.append(KafkaException(error))

    def close(self) -> None:
        """Waits until every fact stands on the log."""
        left = self.producer.flush(30)
        if self.failed:
            raise self.failed[0]
        if left:
            raise TimeoutError(f"{left} facts were not acknowledged within 30 s")


def single_object(schema: str):
    """Avro's own encoding of a single object: marker, fingerprint of the schema, value. It needs no registry."""
    schema = json.loads(schema)
    framing = SINGLE_OBJECT + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
    parsed = parse_schema(schema, _write_hint=False)

    def frame(data: dict, _headers: list) -> bytes:
        value = BytesIO()
        schemaless_writer(value, parsed, data, strict_allow_default=True)
        return framing + value.getvalue()

    return frame


def registered(registry: str, topic: str, ids_in_headers: bool):
    """Confluent's framing: 00, the id that the registry gave the schema, value; or the schema's GUID in a header, and the value by
    itself. A topic of many kinds has a subject for each."""
    from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer, record_subject_name_strategy
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client = SchemaRegistryClient({"url": registry})
    conf = {"subject.name.strategy": record_subject_name_strategy, "validate.strict.allow.default": True}
    if ids_in_headers:
        conf["schema.id.serializer"] = header_schema_id_serializer

    def framed_as(schema: str):
        serializer = AvroSerializer(client, schema, conf=conf)
        return lambda data, headers: serializer(data, SerializationContext(topic, MessageField.VALUE, headers))

    return framed_as


def agent_of(event: dict) -> str:
    """The key: the agent's id, so that everything about an agent lies on one partition, in order."""
    platform_and_agent = event["source"].split("/agents/", 1)
    return event.get("partitionkey") or unquote(platform_and_agent[1])


def main() -> int:
    parser = argparse.ArgumentParser(description="Publish facts to Reeve's topic.")
    parser.add_argument("--brokers", required=True, help="host:port of some brokers, separated by commas")
    parser.add_argument("--topic", default="agent-events")
    parser.add_argument("--registry", help="address of a schema registry, to write with the ids that it gives; none: single objects")
    parser.add_argument("--ids-in-headers", action="store_true", help="a header names each schema, by the GUID that the registry gives it")
    arguments = parser.parse_args()
    publisher = Publisher(arguments.brokers, arguments.topic, arguments.registry, arguments.ids_in_headers)
    count = 0
    for line in filter(str.strip, sys.stdin):
        publisher.publish(json.loads(line))
        count += 1
    publisher.close()
    print(f"{count} facts stand on {arguments.topic}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
