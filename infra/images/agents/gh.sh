#!/bin/sh
# `gh` as a turn has it: without a credential of the platform's. Where gh would ask for a log-in, which nobody here can give,
# this says what there is instead. A project's own token (GH_TOKEN) is the project's business.
if [ -z "${GH_TOKEN:-}${GITHUB_TOKEN:-}" ]; then
  case "${1:---help}" in
    --version | version | --help | help | completion | alias | config) ;;
    *)
      echo "gh: this turn has no access to GitHub. The platform gives agents no credential, and has no GitHub of its own to" \
        "read from yet. Public code, if the project's egress_hosts name github.com:" \
        "git clone https://github.com/OWNER/REPOSITORY" >&2
      exit 4
      ;;
  esac
fi
exec /opt/gh/bin/gh "$@"
