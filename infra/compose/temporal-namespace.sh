#!/bin/sh
# The namespace with the platform's retention, and its search attributes. Repeatable.
set -eu

RETENTION=720h

known() { temporal operator namespace describe --namespace default >/dev/null 2>&1; }
made() { temporal operator namespace create --namespace default --retention "$RETENTION" >/dev/null; }

attempt=0
until known || made; do
  attempt=$((attempt + 1))
  [ "$attempt" -lt 60 ] || { echo "Temporal does not answer at $TEMPORAL_ADDRESS" >&2; exit 1; }
  sleep 1
done
temporal operator namespace update --namespace default --retention "$RETENTION" >/dev/null

for name in ProjectId ProjectName TaskId UserId Stage ServerHandle; do
  temporal operator search-attribute list --namespace default | grep -qw "$name" ||
    temporal operator search-attribute create --namespace default --name "$name" --type Keyword
done
