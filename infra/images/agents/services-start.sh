#!/bin/sh
# services-start NAME…: starts what a project's environment declares beside an agent or its tests: as their user, for this
# container only, on its loopback device, with data in memory that ends with it. Fails with the end of the log of one
# that does not answer.
set -u
place=/tmp/services
mkdir -p "$place"

failed() {
  echo "The service $1 of the project's environment did not start:" >&2
  tail -n 5 "$place/$1.log" >&2
  exit 1
}

for name in "$@"; do
  case $name in
    postgresql)
      programs=$(echo /usr/lib/postgresql/*/bin)
      cp -a /opt/services/postgresql "$place/postgresql" &&
        "$programs/pg_ctl" --pgdata "$place/postgresql" --log "$place/$name.log" --wait --timeout 60 start >/dev/null 2>&1 ||
        failed "$name"
      ;;
    redis)
      redis-server --daemonize yes --bind 127.0.0.1 --port 6379 --dir "$place" --save '' --logfile "$place/$name.log" \
        >/dev/null 2>&1 || failed "$name"
      looks=300
      until [ "$(redis-cli -h 127.0.0.1 ping 2>/dev/null)" = PONG ]; do
        looks=$((looks - 1))
        [ "$looks" -gt 0 ] || failed "$name"
        sleep 0.1
      done
      ;;
    *) exit 2 ;;
  esac
done
