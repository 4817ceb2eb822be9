#!/bin/sh
# Migrations and keys, then to each part of the platform a copy of the keys that it needs. Repeatable: what exists stays.
#
#   docker-compose run --rm bootstrap                       # also after a rotation of keys
#   docker-compose run --rm bootstrap trust LINE            # a line of known_hosts, for a server elsewhere
set -eu
umask 077

keys=$ORCHESTRATOR_HOME/keys
parts=$ORCHESTRATOR_HOME/handed-out
server=$keys/server

# Whole or not at all: a part may be reading.
give() {
  mkdir -p "$2"
  cp "$1" "$2/.$(basename "$1").new"
  mv "$2/.$(basename "$1").new" "$2/$(basename "$1")"
}

key_pair() {
  [ -f "$1.pub" ] || { rm -f "$1"; ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1"; }
}

python -m api bootstrap

mkdir -p "$server"
key_pair "$server/id_ed25519" orchestrator
key_pair "$server/ssh_host_ed25519_key" local-server
# The server in a container is known by the key that it is given here: nobody can stand in between.
[ -f "$server/known_hosts" ] || echo "server $(cut -d' ' -f1,2 "$server/ssh_host_ed25519_key.pub")" >"$server/known_hosts"
if [ "${1:-}" = trust ]; then
  echo "$2" >>"$server/known_hosts"
fi

for part in workers infra; do
  give "$keys/payload.json" "$parts/$part"
  give "$keys/api-service.key" "$parts/$part"
done
give "$server/id_ed25519" "$parts/infra/server"
give "$server/known_hosts" "$parts/infra/server"
give "$keys/vault.json" "$parts/models"
[ ! -f "$keys/bot.key" ] || give "$keys/bot.key" "$parts/bot"

give "$server/ssh_host_ed25519_key" "$parts/server"
give "$server/ssh_host_ed25519_key.pub" "$parts/server"
give "$server/id_ed25519.pub" "$parts/server"
# What runs inside that server cannot ask the name server of a container network.
echo "${LOCAL_SERVER_DNS:-}" >"$parts/server/dns"

echo "Servers let the platform in with this line in ~/.ssh/authorized_keys:"
cat "$server/id_ed25519.pub"
