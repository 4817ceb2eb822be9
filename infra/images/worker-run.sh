#!/bin/sh
# worker-run TIMEOUT_S DIRECTORY COMMAND…: waits until it is told to begin, reads variables that must not be seen from
# outside, removes their file, ends the command after TIMEOUT_S seconds even when nobody is looking, and writes down
# how it ended. DIRECTORY/<this container> holds what it is told (environment, begin) and what it says (begun, ended).
#
# A Docker daemon that is killed in the middle of a start may leave this running without knowing it. It is then never
# told, and goes: 75. What the daemon does not know of an end, because it was killed in that moment, `ended` says.
set -u
timeout_s=$1 directory=$2
shift 2
read -r container </etc/hostname
mine=$directory/$container

# Looked for, since a file is the only thing that can be brought through the engine: 30 s, of which 0.1 s are usual.
looks=1500
until [ -e "$mine/begin" ]; do
  looks=$((looks - 1))
  [ "$looks" -gt 0 ] || exit 75
  sleep 0.02
done
# Beside it: who brings it is not done with it yet.
: >"$mine/begun" || exit 74
if [ -f "$mine/environment" ]; then
  . "$mine/environment"
  rm -f "$mine/environment"
fi

# The signal goes to the whole group, so the command has it, too; this stays to write down the end.
trap : TERM INT HUP
began=$(date +%s)
code=0
timeout --foreground --kill-after=5 "$timeout_s" "$@" || code=$?
{ echo "$code $(($(date +%s) - began))" >"$mine/ended.draft" && mv "$mine/ended.draft" "$mine/ended"; } 2>/dev/null
exit "$code"
