#!/bin/sh
# worker-run [--early] TIMEOUT_S DIRECTORY COMMAND…: waits until it is told to begin, gives the command variables that must not be
# seen from outside, ends it after TIMEOUT_S seconds even when nobody is looking, and writes down how it ended.
# DIRECTORY/<this container> holds what it is told (environment, begin) and what it says (begun, ended). What it is told
# comes as a tar archive of the directory above: through the engine, or, sooner, on standard input.
#
# --early: COMMAND itself waits until it is told to begin, takes its variables and says `begun`; ORCHESTRATOR_ORDER is the
# directory in which it does. It starts meanwhile.
#
# A Docker daemon that is killed in the middle of a start may leave this running without knowing it. It is then never
# told, and goes: 75; 74 if a service of the project's environment does not start. What the daemon does not know of an end, because it was killed in that moment, `ended` says.
set -u
# The command's own programs, which a project may have put before those of the system, are not for the launcher.
path=$PATH
PATH=/usr/local/bin:/usr/bin:/bin
early=
[ "$1" != --early ] || { early=1 && shift; }
timeout_s=$1 directory=$2
shift 2
set -- /usr/bin/timeout --foreground --kill-after=5 "$timeout_s" "$@"
# One that shares the network of another has its host name, too, and is told its own.
own=$directory/number
[ -f "$own" ] || own=/etc/hostname
read -r container <"$own" || exit 75
# The agent of an earlier turn may have written there: a number, and no way to another directory.
[ "$own" = /etc/hostname ] || case $container in '' | *[!0-9a-f]*) exit 75 ;; esac
mine=$directory/$container

# The command has no input. What is never sent keeps one process waiting, which ends with the container.
exec 3<&0 </dev/null
tar -xf - -C "${directory%/*}" <&3 3<&- >/dev/null 2>&1 &
exec 3<&-

# Looked for, since a file is the only thing that can be brought through the engine: 30 s, of which 0.1 s are usual.
looks=1500
until [ -n "$early" ] || [ -e "$mine/begin" ]; do
  looks=$((looks - 1))
  [ "$looks" -gt 0 ] || exit 75
  sleep 0.02
done

# Of the project's environment. The command has not begun, so whoever told us to can begin it again elsewhere.
# shellcheck disable=SC2086 - names, one after the other
[ -z "${ORCHESTRATOR_SERVICES:-}" ] || services-start $ORCHESTRATOR_SERVICES || exit 74

# The signal goes to the whole group, so the command has it, too; this stays to write down the end.
stopping=
trap 'stopping=1' TERM INT HUP
variables=
if [ -n "$early" ]; then
  export ORCHESTRATOR_ORDER="$mine"
else
  [ ! -f "$mine/environment" ] || variables=$(cat "$mine/environment")
  # Also those of containers that were never told, and went.
  rm -f "$directory"/*/environment
  # Beside `begin`: who brings that is not done with it yet. In a shell of its own: a full disk must not end this one.
  (: >"$mine/begun") || exit 75
fi

# The container has no network: the proxy's port leads to the socket of the platform's gateway.
[ -z "${ORCHESTRATOR_EGRESS:-}" ] ||
  PYTHONPATH=/opt python3 -m egress forward "$ORCHESTRATOR_EGRESS" "$ORCHESTRATOR_EGRESS_PORT" || exit 75

began=$(date +%s)
code=0
if [ -n "$stopping" ]; then
  code=143
else
  # In a shell of its own: the variables are the command's, whatever their names.
  (PATH=$path && eval "$variables" && exec "$@") || code=$?
fi
[ -e "$mine/begun" ] || exit "$code"
case $code in
  124 | 137)
    # What the command had started is asked as well, before it ends with the container.
    kill -TERM 0
    sleep 1
    ;;
esac
{ echo "$code $(($(date +%s) - began))" >"$mine/ended.draft" && mv "$mine/ended.draft" "$mine/ended"; } 2>/dev/null
# The engine may have repeated what it was asked for when it was killed.
rm -f "$mine/environment"
exit "$code"
