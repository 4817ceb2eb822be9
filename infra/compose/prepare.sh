#!/bin/sh
# Makes what docker-compose.yml expects beside it: the files of secrets/ and .env (not with --secrets). Repeatable: what
# exists stays.
set -eu
cd "$(dirname "$0")/../.."

secrets=${ORCHESTRATOR_SECRETS:-./secrets}
# Only root enters the directory; below it, each program reads the files that are mounted for it, whatever its user is.
mkdir -p "$secrets"
chmod 700 "$secrets"

for name in postgres_password orchestrator_db_password temporal_db_password; do
  [ -s "$secrets/$name" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/$name"
  chmod 444 "$secrets/$name"
done

# The bot insists on a token that nobody else can read: 10001 is its user in the image.
[ -f "$secrets/bot_token" ] || : >"$secrets/bot_token"
chmod 400 "$secrets/bot_token"
[ "$(id -u)" -ne 0 ] || chown 10001:10001 "$secrets/bot_token"

[ "${1:-}" != --secrets ] || exit 0
[ -f .env ] || cp infra/compose/env.example .env
echo "Prepared. Look into .env, then: docker-compose build && docker-compose up -d"
