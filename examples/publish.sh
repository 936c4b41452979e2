#!/usr/bin/env bash
# Publish one fact straight to Reeve's topic, with kcat: the end of a session.
#   examples/publish.sh [--schema-id ID | --registry URL] BROKERS AGENT SESSION [TOPIC]
# All that a record is stands here in plain sight: framing, headers, key, partitioner.
set -euo pipefail

# Avro's framing of a single object: marker, and fingerprint of schemas/events/session.ended.avsc. It needs no registry.
framing='\xc3\x01\x0d\xd6\x0d\x1a\xb0\xfe\x2f\xbe'
id=
case ${1:-} in
    --schema-id) id=$2; shift 2 ;;
    # The newest is the schema of this repository, unless somebody registered a newer one: then the value below is not of it.
    --registry)
        answer=$(curl --fail --silent --show-error "$2/subjects/io.reeve.events.SessionEnded/versions/latest")
        id=$(sed -E 's/.*"id": ?([0-9]+).*/\1/' <<< "$answer")
        shift 2 ;;
esac
# Confluent's: 00, and the id that a registry gave the schema, in four bytes.
[ -z "$id" ] || printf -v framing '\\x%02x' 0 $((id >> 24 & 255)) $((id >> 16 & 255)) $((id >> 8 & 255)) $((id & 255))
brokers=$1 agent=$2 session=$3 topic=${4:-agent-events}

# Then the fact's two fields: the reason, a text of the second branch of its union (02), eight letters long (10); no version (00).
value=$(mktemp)
trap 'rm -f "$value"' EXIT
printf "$framing"'\x02\x10finished\x00' > "$value"

kcat -P -b "$brokers" -t "$topic" -k "$agent" -X topic.partitioner=murmur2 -X enable.idempotence=true \
    -H ce_specversion=1.0 \
    -H "ce_id=$(cat /proc/sys/kernel/random/uuid)" \
    -H "ce_source=/platforms/shell/agents/$agent" \
    -H ce_type=io.reeve.session.ended.v1 \
    -H "ce_time=$(date --utc +%Y-%m-%dT%H:%M:%SZ)" \
    -H "ce_subject=$session" \
    -H content-type=application/avro \
    "$value"
