#!/usr/bin/env bash
# Makes sure that the image debian:bookworm-slim exists: from a registry where one can be reached, otherwise made with
# debootstrap under the same tag. With CI=true or DOCKER=install it installs debootstrap. A second run changes nothing.
set -euo pipefail

TAG=debian:bookworm-slim
SUITE=bookworm
MIRROR=${DEBIAN_MIRROR:-}
PULL_S=60

if docker image inspect "$TAG" >/dev/null 2>&1; then
  exit 0
fi

echo "== getting $TAG"
if timeout "$PULL_S" docker pull --quiet "$TAG" 2>/dev/null; then
  exit 0
fi

echo "== no registry: making $TAG with debootstrap (half a minute)"
if ! command -v debootstrap >/dev/null; then
  if [ "${CI:-}" != true ] && [ "${DOCKER:-}" != install ]; then
    echo "The program debootstrap is missing: apt-get install debootstrap, or DOCKER=install make docker" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
fi

if [ "$(id -u)" -ne 0 ]; then
  echo "debootstrap needs root: sudo make docker" >&2
  exit 1
fi

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
debootstrap --variant=minbase "$SUITE" "$root" ${MIRROR:+"$MIRROR"} >"$root.log" 2>&1 || {
  tail -n 20 "$root.log" >&2
  rm -f "$root.log"
  exit 1
}
rm -f "$root.log"
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
# As in the published image: apt keeps nothing of what it has installed. Every image that starts from this one is smaller.
cat >"$root/etc/apt/apt.conf.d/docker-clean" <<'EOF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
EOF
# Imported under another tag first: a broken import must not leave the right one.
tar -C "$root" --numeric-owner -c . | docker import --change 'CMD ["bash"]' - "$TAG-draft" >/dev/null
docker run --rm --network none "$TAG-draft" true
docker tag "$TAG-draft" "$TAG"
docker rmi "$TAG-draft" >/dev/null
