#!/usr/bin/env python3
"""Hear what Reeve orders, straight from its topic, in Python: confluent-kafka carries it, fastavro decodes it.

    pip install confluent-kafka fastavro
    python examples/orders.py --brokers 127.0.0.1:9092 --agent billing

prints each order of an agent (of all, where none is named) as a line of JSON, those that stand there first: a platform that
comes late still obeys. With `--obey acme` each is then carried out, in `carry_out`, which is what a platform writes itself,
and answered in the name of the platform `acme`. That a rollback took Reeve believes when it has seen the version serve: by
sessions that start on it, or by heartbeats, both of which a platform publishes anyway (`publish.py`).

At least once: the group's place on the topic moves past an order when that is printed and answered. Who is killed in between
hears it again, and answers again by the same id, which counts once.

Reeve writes single objects. `--registry URL` reads what bears a registry's ids as well, and answers with them (it needs
`pip install "confluent-kafka[avro,schemaregistry]"`).
"""
import argparse
import json
import signal
import sys
from datetime import datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from fastavro import parse_schema, schemaless_reader

from publish import SCHEMAS, Publisher

# What a platform has to obey, by `ce_type`.
ORDERS = {f"io.reeve.{kind}.v1".encode(): kind for kind in ("mode.ordered", "rollback.ordered")}
FRAMING_BYTES = 10
SCHEMA_ID_HEADER = "__value_schema_id"
# So many orders are known when they come again.
REMEMBERED = 10_000


class Orders:
    """Orders as they stand on the log, each once; in the next run again those that were not done with."""

    def __init__(self, brokers: str, topic: str, group: str, agents: list[str], registry: str | None = None, **settings: str) -> None:
        self.agents = {agent.encode() for agent in agents}
        self.decode = Decoder(topic, registry)
        self.heard = {}
        self.is_ending = False
        self.consumer = Consumer({
            "bootstrap.servers": brokers,
            "group.id": group,
            # Decisions are written in transactions, and one that was aborted orders nothing.
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            # The group stands where orders are done with, not where they were handed out.
            "enable.auto.offset.store": False,
            # Brokers that are gone are sought on, and told once: the library by itself would tell it 20 times a second.
            "log_level": 2,
            "error_cb": are_gone,
            **settings,
        })
        found = self.consumer.list_topics(topic, timeout=10).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        self.consumer.subscribe([topic])

    def __iter__(self):
        """Orders until `end`. One is done with when the next is asked for."""
        while not self.is_ending:
            record = self.consumer.poll(1)
            if record is None:
                continue
            if record.error() is not None:
                raise KafkaException(record.error())
            if (order := self.order_in(record)) is not None:
                yield order
            self.consumer.store_offsets(record)

    def order_in(self, record: Message) -> dict | None:
        """Most records are none: headers and key tell, and nothing is decoded."""
        headers = dict(record.headers() or [])
        kind = ORDERS.get(headers.get("ce_type"))
        if kind is None or self.agents and record.key() not in self.agents or self.is_repeat(headers):
            return None
        attributes = {name.removeprefix("ce_"): value.decode() for name, value in headers.items() if name.startswith("ce_")}
        place = {"partitionkey": record.key().decode(), "partition": record.partition(), "offset": record.offset()}
        return {**attributes, **place, "data": self.decode(kind, record, headers)}

    def is_repeat(self, headers: dict) -> bool:
        """Source and id name an event. What is not committed yet is read again when partitions change hands."""
        name = headers.get("ce_source"), headers.get("ce_id")
        is_repeat = name in self.heard
        self.heard[name] = True
        if len(self.heard) > REMEMBERED:
            del self.heard[next(iter(self.heard))]
        return is_repeat

    def end(self, *_signal) -> None:
        """After the order that is being carried out."""
        self.is_ending = True


def are_gone(error: KafkaError) -> None:
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        print(f"kafka: {error.str()}", file=sys.stderr)


class Decoder:
    """Values in any framing, as the schemas of this repository say them."""

    def __init__(self, topic: str, registry: str | None) -> None:
        self.schemas = {kind: json.loads(today(kind).read_text()) for kind in ORDERS.values()}
        self.written = {framing: schema for kind in ORDERS.values() for framing, schema in written(kind)}
        self.registered = {kind: registered(registry, topic, schema) for kind, schema in self.schemas.items()} if registry else {}

    def __call__(self, kind: str, record: Message, headers: dict) -> dict:
        value = record.value() or b""
        framing = value[:FRAMING_BYTES]
        # A registry's: 00 and a number or 01 and a GUID, in front of the value or in a header.
        if self.registered and (SCHEMA_ID_HEADER in headers or framing[:1] in (b"\x00", b"\x01")):
            return self.registered[kind](value, record.headers())
        if framing not in self.written:
            # An order is not passed over: whoever keeps this running sees it end, and Reeve that nobody answers.
            raise ValueError(f"the order at {record.partition()}/{record.offset()} begins with {framing.hex()}, of which no schema is "
                             "known here: is schemas/ as new as Reeve, or is it a registry's (--registry)?")
        return schemaless_reader(BytesIO(value[FRAMING_BYTES:]), self.written[framing], self.schemas[kind])


def today(kind: str) -> Path:
    return SCHEMAS.parent / "decisions" / f"{kind}.avsc"


def written(kind: str):
    """What a kind was ever written with, by the ten bytes before such a value: those of its golden records. Today's are what fastavro
    computes, but Reeve's first decisions have the fingerprint of a canonical form that kept logical types apart."""
    for golden in SCHEMAS.parent.glob(f"golden/{kind}.v*.json"):
        past = SCHEMAS.parent / "history" / f"{golden.stem}.avsc"
        schema = json.loads((past if past.exists() else today(kind)).read_text())
        yield bytes.fromhex(json.loads(golden.read_text())["framed_hex"])[:FRAMING_BYTES], parse_schema(schema)


def registered(registry: str, topic: str, schema: dict):
    """Confluent's own deserializer, which asks the registry what a value was written with."""
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    deserializer = AvroDeserializer(SchemaRegistryClient({"url": registry}), json.dumps(schema))
    return lambda value, headers: deserializer(value, SerializationContext(topic, MessageField.VALUE, headers))


def carry_out(order: dict) -> dict:
    """Does what is ordered. A platform puts its own work here, and what it cannot do is `"accepted": False` with a `reason`."""
    done = {"order_id": order["id"], "accepted": True}
    return {**done, "serving_version": order["data"]["to_version"]} if "to_version" in order["data"] else done


def answer(order: dict, platform: str) -> dict:
    """A fact about the agent. Its id is the order's and it has no time, so that said twice it is the same."""
    agent = order["partitionkey"]
    return {"source": f"/platforms/{quote(platform, safe='')}/agents/{quote(agent, safe='')}", "id": f"answer-{order['id']}",
            "type": "io.reeve.command.acknowledged.v1", "partitionkey": agent, "data": carry_out(order)}


def shown(value):
    """As the gateway tells it: times as in RFC 3339, and what is absent is left out."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {name: shown(each) for name, each in value.items() if each is not None} if isinstance(value, dict) else value


def hear(arguments: argparse.Namespace) -> None:
    orders = Orders(arguments.brokers, arguments.topic, arguments.group, arguments.agent, arguments.registry)
    publisher = Publisher(arguments.brokers, arguments.topic, arguments.registry) if arguments.obey else None
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, orders.end)
    try:
        for order in orders:
            print(json.dumps(shown(order)), flush=True)
            if publisher is not None:
                publisher.publish(answer(order, arguments.obey))
                publisher.close()
    finally:
        orders.consumer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Hear what Reeve orders, from its topic.")
    parser.add_argument("--brokers", required=True, help="host:port of some brokers, separated by commas")
    parser.add_argument("--topic", default="agent-events")
    parser.add_argument("--group", default="platform-orders", help="consumer group, one for each platform")
    parser.add_argument("--agent", action="append", default=[], help="hear what is ordered of this one; may be repeated. None: of all")
    parser.add_argument("--obey", metavar="PLATFORM", help="carry orders out, and answer them in the name of this platform")
    parser.add_argument("--registry", help="address of a schema registry, to read what bears its ids too, and to answer with them")
    arguments = parser.parse_args()
    try:
        hear(arguments)
    except (KafkaException, TimeoutError, ValueError) as error:
        told = error.args[0].str() if isinstance(error, KafkaException) else error
        print(f"error: {arguments.topic} at {arguments.brokers}: {told}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
