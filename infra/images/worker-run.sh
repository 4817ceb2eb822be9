#!/bin/sh
# worker-run TIMEOUT_S ENVIRONMENT_FILE COMMAND…: reads variables that must not be seen from outside, removes their file, and
# ends the command after TIMEOUT_S seconds even when nobody is looking.
set -eu
timeout_s=$1 environment=$2
shift 2
if [ -f "$environment" ]; then
  . "$environment"
  rm -f "$environment"
fi
exec timeout --kill-after=5 "$timeout_s" "$@"
