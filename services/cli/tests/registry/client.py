"""Asks a schema registry by Confluent's own client for all that Reeve and its publishers use of one, and ends well if each
answer is a registry's.

    client.py URL SCHEMA     a file of a schema of Reeve's, all fields of which have a default
"""
import json
import sys
from pathlib import Path

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext


def refused(code: int, ask, *arguments) -> None:
    try:
        answer = ask(*arguments)
    except SchemaRegistryError as error:
        assert error.error_code == code, f"{error.error_code} is not {code}: {error}"
        return
    raise AssertionError(f"{ask.__name__}{arguments} is not refused: {answer}")


def versions(client: SchemaRegistryClient, schema: Schema, older: Schema) -> None:
    """Ids, versions and subjects."""
    refused(40401, client.get_latest_version, "one")
    first, second = client.register_schema("one", older), client.register_schema("one", schema)
    assert first != second and client.register_schema("two", schema) == second, "one schema has one id"
    assert client.register_schema("one", Schema(json.dumps(json.loads(schema.schema_str)), "AVRO")) == second
    assert json.loads(client.get_schema(first).schema_str) == json.loads(older.schema_str)
    refused(40403, client.get_schema, 4711)
    assert {"one", "two"} <= set(client.get_subjects()) and client.get_versions("one") == [1, 2]
    latest, found = client.get_latest_version("one"), client.lookup_schema("one", older)
    assert (latest.version, latest.schema_id, found.version, found.schema_id) == (2, second, 1, first), (latest, found)
    assert client.get_version("one", 1).schema_id == first
    refused(40402, client.get_version, "one", 3)
    refused(40403, client.lookup_schema, "two", older)


def compatibility(client: SchemaRegistryClient, schema: Schema) -> None:
    """A field without a default cannot be read from what was written before it."""
    broken = json.loads(schema.schema_str)
    broken["fields"].append({"name": "must", "type": "string"})
    broken = Schema(json.dumps(broken), "AVRO")
    assert client.get_compatibility() == "BACKWARD"
    assert client.test_compatibility("one", schema) and not client.test_compatibility("one", broken)
    refused(409, client.register_schema, "one", broken)
    refused(42203, client.set_compatibility, "one", "SOMEHOW")
    client.set_compatibility("one", "FULL_TRANSITIVE")
    assert client.get_compatibility("one") == "FULL_TRANSITIVE" and client.get_compatibility() == "BACKWARD"
    client.set_compatibility("one", "NONE")
    assert client.register_schema("one", broken) > 0


def values(client: SchemaRegistryClient, schema: Schema, url: str) -> None:
    """There and back, by another client that knows nothing."""
    context = SerializationContext("values", MessageField.VALUE)
    framed = AvroSerializer(client, schema)({}, context)
    wanted = client.lookup_schema("values-value", schema).schema_id
    assert framed[0] == 0 and int.from_bytes(framed[1:5], "big") == wanted, framed
    read = AvroDeserializer(SchemaRegistryClient({"url": url}))(framed, context)
    assert set(read) == {field["name"] for field in json.loads(schema.schema_str)["fields"]}, read


def guids(client: SchemaRegistryClient, schema: Schema, url: str) -> None:
    """The same with the schema's GUID in a header."""
    context = SerializationContext("values", MessageField.VALUE, [])
    value = {"version": "longer than a framing, or the client takes it for cut"}
    bare = AvroSerializer(client, schema, conf={"schema.id.serializer": header_schema_id_serializer})(value, context)
    [(name, said)] = context.headers
    assert (name, said[0], len(said)) == ("__value_schema_id", 1, 17), context.headers
    read = AvroDeserializer(SchemaRegistryClient({"url": url}))(bare, context)
    assert read["version"] == value["version"], read
    refused(40403, client.get_schema_by_guid, "00000000-0000-0000-0000-000000000000")


def main() -> None:
    url, schema = sys.argv[1], Schema(Path(sys.argv[2]).read_text(), "AVRO")
    older = json.loads(schema.schema_str)
    older["fields"].pop()
    older = Schema(json.dumps(older), "AVRO")
    client = SchemaRegistryClient({"url": url})
    versions(client, schema, older)
    compatibility(client, schema)
    values(client, schema, url)
    guids(client, schema, url)


main()
