#!/usr/bin/env bash
# Publish one fact straight to Reeve's topic, with kcat: the end of a session.
#   examples/publish.sh BROKERS AGENT SESSION [TOPIC]
# All that a record is stands here in plain sight: framing, headers, key, partitioner.
set -euo pipefail
brokers=$1 agent=$2 session=$3 topic=${4:-agent-events}

# Marker and fingerprint of schemas/events/session.ended.avsc, then its two fields: the reason, a text of the second branch
# of its union (02), eight letters long (10); no version (00).
value=$(mktemp)
trap 'rm -f "$value"' EXIT
printf '\xc3\x01\x0d\xd6\x0d\x1a\xb0\xfe\x2f\xbe\x02\x10finished\x00' > "$value"

kcat -P -b "$brokers" -t "$topic" -k "$agent" -X topic.partitioner=murmur2 -X enable.idempotence=true \
    -H ce_specversion=1.0 \
    -H "ce_id=$(cat /proc/sys/kernel/random/uuid)" \
    -H "ce_source=/platforms/shell/agents/$agent" \
    -H ce_type=io.reeve.session.ended.v1 \
    -H "ce_time=$(date --utc +%Y-%m-%dT%H:%M:%SZ)" \
    -H "ce_subject=$session" \
    -H content-type=application/avro \
    "$value"
