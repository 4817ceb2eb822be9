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

# What nobody else may read: the token of the bot and the keys for models, all empty until you have one. 10001 is the
# user of the parts in the image.
for name in bot_token anthropic_api_key openai_api_key; do
  private=$secrets/$name
  [ -f "$private" ] || : >"$private"
  if [ "$(id -u)" -eq 0 ]; then
    chown 10001:10001 "$private"
    chmod 400 "$private"
  elif [ "$(stat -c %u "$private" 2>/dev/null || echo 0)" -ne 10001 ]; then
    chmod 600 "$private"
    echo "NOTE: this is not root. Once something is in it, it needs: sudo chown 10001:10001 $private" >&2
  fi
done

[ "${1:-}" != --secrets ] || exit 0
if [ ! -f .env ]; then
  # The loopback address of this machine is another one inside of containers, from where services are probed.
  address=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 -F . || :)
  [ -n "$address" ] || echo "NOTE: set ORCHESTRATOR_PUBLIC_HOST in .env: the address of this machine is not known" >&2
  sed "s/^ORCHESTRATOR_PUBLIC_HOST=.*/ORCHESTRATOR_PUBLIC_HOST=${address:-127.0.0.1}/" infra/compose/env.example >.env.new
  mv .env.new .env
fi
echo "Prepared. Look into .env, then: docker-compose build && docker-compose up -d"
