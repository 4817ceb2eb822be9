#!/usr/bin/env bash
# Makes sure that a Docker Engine answers. With CI=true or DOCKER=install it installs and starts one (Debian, root);
# otherwise it only looks, and says what to do. A second run changes nothing.
set -euo pipefail

WAIT_S=60
LOG=${DOCKERD_LOG:-/var/log/dockerd.log}

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
may_install() { [ "${CI:-}" = true ] || [ "${DOCKER:-}" = install ]; }

# Engines inside of containers are processes of this machine too, and not the one that is looked for.
runs() { pgrep --ns $$ --nslist pid -x dockerd >/dev/null; }

start_unless_it_runs() {
  if [ -d /run/systemd/system ]; then
    systemctl start docker
  elif ! runs; then
    rm -f /var/run/docker.pid
    echo "== starting dockerd"
    # Its own session and no open files of ours: it must outlive whoever asked for it. It is no process of one CI run
    # either: the next run uses it again. With live-restore, containers outlive an engine that is killed.
    env -u ORCHESTRATOR_CI_RUN setsid dockerd --live-restore >>"$LOG" 2>&1 </dev/null &
  fi
}

wait_for_engine() {
  local until=$((SECONDS + WAIT_S))
  until answers; do
    [ "$SECONDS" -lt "$until" ] || { echo "The Docker Engine did not answer within $WAIT_S s; see $LOG." >&2; return 1; }
    # Asked again each time: an engine that was killed is a process for a moment longer.
    start_unless_it_runs
    # A connection that is refused returns at once, so this waits between two looks.
    sleep 0.5
  done
}

if command -v docker >/dev/null && answers; then
  exit 0
fi

if ! may_install; then
  echo "No Docker Engine answers here: agents, tests and deploys run as processes." >&2
  echo "Start yours (systemctl start docker), or let this install Debian's: DOCKER=install make docker" >&2
  exit 1
fi

if [ "$(id -u)" -ne 0 ]; then
  echo "Installing Docker needs root: sudo DOCKER=install make docker" >&2
  exit 1
fi

if ! command -v dockerd >/dev/null; then
  echo "== installing docker.io"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io iptables >/dev/null
fi

# The package may have started it already, and an engine that is starting holds its pid file.
wait_for_engine
