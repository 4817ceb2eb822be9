#!/bin/sh
# `gh` as a turn has it: without a credential. Where the project lets its agents reach api.github.com, it reads what is
# public there, through the platform's gateway. A project's own token (GH_TOKEN) is the project's business.
reader=/gateway/github.sock
if [ -z "${GH_TOKEN:-}${GITHUB_TOKEN:-}" ]; then
  case "${1:---help}" in
    --version | version | --help | help | completion | alias | config) ;;
    *)
      if [ ! -S "$reader" ]; then
        echo "gh: this turn has no access to GitHub. The platform gives agents no credential. If the project's egress_hosts" \
          "name api.github.com, gh reads what is public: gh api repos/OWNER/NAME" >&2
        exit 4
      fi
      GH_CONFIG_DIR=$(mktemp -d) GH_TOKEN=none GH_NO_UPDATE_NOTIFIER=1
      export GH_CONFIG_DIR GH_TOKEN GH_NO_UPDATE_NOTIFIER
      echo "http_unix_socket: $reader" >"$GH_CONFIG_DIR/config.yml"
      ;;
  esac
fi
exec /opt/gh/bin/gh "$@"
