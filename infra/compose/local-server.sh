#!/bin/sh
# First process of the server in a container: its keys and name servers into their places, then systemd.
set -eu

home=/home/orchestrator
install -m 600 /access/ssh_host_ed25519_key /etc/ssh/
install -m 644 /access/ssh_host_ed25519_key.pub /etc/ssh/
install -d -m 700 -o orchestrator -g orchestrator $home/.ssh
install -m 600 -o orchestrator -g orchestrator /access/id_ed25519.pub $home/.ssh/authorized_keys

dns=$(sed 's/[^0-9a-fA-F.:]\{1,\}/", "/g' /access/dns)
[ -z "$dns" ] || { mkdir -p /etc/docker; printf '{"dns": ["%s"]}\n' "$dns" >/etc/docker/daemon.json; }

exec /sbin/init
