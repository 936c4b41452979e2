"""Reads an archive as any other program would: with DuckDB, and with the page of the audit room that describes its format."""

import hashlib
import json
import struct
import sys

import duckdb

mode, archive = sys.argv[1:]
FILES = f"{archive}/v1/*/*/*/*.parquet"
COLUMNS = """topic, partition, "offset", epoch_us(appended), key, headers, value, kind, source, id, epoch_us(time), subject, refusal"""


def rows(files):
    order = """ORDER BY topic, partition, "offset" """
    found = duckdb.sql(f"SELECT {COLUMNS} FROM read_parquet('{files}', hive_partitioning = false) {order}")
    return found.fetchall()


def pairs(headers):
    return [(header["name"], bytes(header["value"])) for header in headers]


def tell(row):
    topic, partition, offset, appended, key, headers, value, kind, source, id, time, subject, refusal = row
    print(json.dumps({
        "topic": topic, "partition": partition, "offset": offset, "appended": appended,
        "key": None if key is None else key.hex(),
        "headers": [[name, value.hex()] for name, value in pairs(headers)],
        "value": value.hex(), "kind": kind, "source": source, "id": id, "time": time, "subject": subject,
        "refused": refusal is not None,
    }))


def digest(found):
    def sized(data):
        return struct.pack("<I", len(data)) + data

    topic, partition = found[0][:2]
    sha = hashlib.sha256(b"reeve-rows-1" + sized(topic.encode()) + struct.pack("<I", partition))
    for _, _, offset, appended, key, headers, value, *_ in found:
        sha.update(struct.pack("<qq", offset, appended))
        sha.update(b"\xff\xff\xff\xff" if key is None else sized(key))
        sha.update(struct.pack("<I", len(headers)))
        for name, bytes_ in pairs(headers):
            sha.update(sized(name.encode()) + sized(bytes_))
        sha.update(sized(value))
    return sha.hexdigest()


if mode == "rows":
    for row in rows(FILES):
        tell(row)
else:
    footers = duckdb.sql(f"SELECT file_name, decode(value) FROM parquet_kv_metadata('{FILES}') WHERE decode(key) = 'reeve.sha256'")
    told = footers.fetchall()
    assert told, "no segment names a digest"
    print(sum(digest(rows(file)) != sha for file, sha in told))
