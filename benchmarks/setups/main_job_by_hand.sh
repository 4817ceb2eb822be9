#!/bin/bash
# What the platform does for one sentence, typed by hand: Copier, git, an agent and the project's checks in containers,
# a build on the server, a candidate, the service. The same parts with the same isolation and limits; nothing here is
# supervised, retried, adopted after a crash or recorded.
#
#   main_job_by_hand.sh SSH…     where SSH… is the command that logs in to the server
#
# NAME, WISH, RELEASE, HOST and PORT say what is wanted and where it answers. TEMPLATE and IMAGE (of agents and tests)
# are what it is made with, NETWORK is that of agents, VOLUMES begins the names of volumes with packages.
# PACKAGES/options are options of docker with which a container reaches package registries, PACKAGES/home is for its
# home; REGISTRY holds the same for a build. WORK is an empty directory. Each step begins with a line on the standard
# output: the time and the step's name.
set -euo pipefail
export LC_ALL=C
ssh=("$@")
exec 3>&1 >"$WORK/log" 2>&1

forge=$WORK/forge.git
cpus=$(($(nproc) < 2 ? 1 : 2))
confined=(
  --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges --memory 2g --cpus "$cpus" --pids-limit 1024
  --tmpfs /tmp:rw,exec,nosuid,nodev,mode=1777 --ulimit core=0:0
  --log-driver json-file --log-opt max-size=64m --log-opt max-file=2
  --env HOME=/home/worker --env TMPDIR=/tmp --env LANG=C.UTF-8
)

step() { echo "$EPOCHREALTIME $1" >&3; }

# A directory as an archive whose files belong to the user of the containers.
packed() { tar -C "$1" --owner=1000 --group=1000 --numeric-owner -c .; }

forget() {
  docker rm --force --volumes "$NAME-agent" "$NAME-tests"
  docker volume rm --force "$NAME-workspace" "$NAME-home"
}

# install_packages VOLUME: built once for all projects with these requirements, with the network and nothing else.
install_packages() {
  local options
  mapfile -t options <"$PACKAGES/options"
  docker create --name "$NAME-packages" "${confined[@]}" --network "$NETWORK" "${options[@]}" --workdir /project \
    --mount "type=volume,source=$1,target=/venv" "$IMAGE" sh -ec '
      python3 -m venv --without-pip /venv
      uv pip install --quiet --no-config --no-cache --python /venv/bin/python --compile-bytecode \
        --only-binary :all: -r requirements.txt -r requirements-dev.txt
      touch "/venv/.ready-$(cat requirements.txt requirements-dev.txt | cksum | cut -d" " -f1)"'
  packed "$PACKAGES/home" | docker cp - "$NAME-packages:/home/worker"
  packed "$WORK/clean" | docker cp - "$NAME-packages:/project"
  docker start --attach "$NAME-packages" || { docker rm "$NAME-packages" && docker volume rm "$1" && false; }
  docker rm "$NAME-packages"
}

# on_server <SCRIPT: run it there as root. It is also the way of secrets: no argument shows them.
on_server() {
  { declare -p NAME RELEASE HOST PORT && declare -f service answers until_it_answers && cat; } |
    "${ssh[@]}" sudo -n bash -euo pipefail -s
}

# service CONTAINER PHASE DATA OPTION…: start it, on the server.
service() {
  docker run --detach --name "$1" --env "RELEASE_PHASE=$2" --env "PORT=$PORT" "${@:4}" \
    --user "$((20000 + PORT)):$((20000 + PORT))" --cap-drop ALL --init --security-opt no-new-privileges \
    --pids-limit 512 --log-opt max-size=10m --log-opt max-file=2 \
    --mount "type=bind,src=/srv/$NAME/environment,dst=/run/environment,readonly" --mount "type=bind,src=$3,dst=/data" \
    --entrypoint /bin/sh "$NAME:$RELEASE" -c 'set -a; . /run/environment; exec python3 -m services.backend'
}

# answers HOST: whether it is healthy and of this release. Needs no program on the server.
answers() (
  exec 9<>"/dev/tcp/$1/$PORT" && printf 'GET /health HTTP/1.0\r\n\r\n' >&9 &&
    grep -q "\"status\":\"ok\".*\"release\":\"$RELEASE\"" <&9
)

until_it_answers() {
  local look
  for look in {1..600}; do
    if answers "$1"; then return; fi
    sleep 0.1
  done
  echo "$1 did not answer after $look looks" && false
}

# Also when a step fails; after the last one there is nothing left of it.
trap 'forget || true' EXIT

step scaffold
copier copy --quiet --defaults --data "project_name=$NAME" --data "description=$WISH" "$TEMPLATE" "$WORK/project"
git init --quiet --bare --initial-branch=main "$forge"
git -C "$WORK/project" init --quiet --initial-branch=main
git -C "$WORK/project" add --all
git -C "$WORK/project" -c user.name=Engineer -c user.email=engineer@localhost commit --quiet --message "Scaffold $NAME"
git -C "$WORK/project" push --quiet "$forge" main

step develop
git clone --quiet --no-hardlinks "$forge" "$WORK/workspace"
git -C "$WORK/workspace" checkout --quiet -b task
git -C "$WORK/workspace" remote remove origin
printf '# %s\n\n%s\n' "$NAME" "$WISH" >"$WORK/workspace/TASK.md"
docker create --name "$NAME-agent" "${confined[@]}" --network "$NETWORK" --read-only --workdir /workspace \
  --mount "type=volume,source=$NAME-workspace,target=/workspace" \
  --mount "type=volume,source=$NAME-home,target=/home/worker" "$IMAGE" \
  timeout 3600 python3 /opt/scripted_agent -p 'Read TASK.md and AGENTS.md, complete the task and commit.' \
  --output-format stream-json --verbose --dangerously-skip-permissions
packed "$WORK/workspace" | docker cp - "$NAME-agent:/workspace"
docker start --attach "$NAME-agent"
# Whatever the agent has planted in its repository runs in a container without network, if anywhere.
docker run --rm "${confined[@]}" --network none --workdir /workspace \
  --mount "type=volume,source=$NAME-workspace,target=/workspace,readonly" "$IMAGE" \
  git bundle create --quiet - HEAD >"$WORK/work.bundle"
git -C "$forge" fetch --quiet "$WORK/work.bundle" HEAD:refs/heads/task

step test
git clone --quiet --branch task "$forge" "$WORK/clean"
rm -rf "$WORK/clean/.git"
packages=$VOLUMES-$(cat "$WORK/clean/requirements.txt" "$WORK/clean/requirements-dev.txt" | sha256sum | cut -c1-16)
docker volume inspect "$packages" >/dev/null || install_packages "$packages"
docker create --name "$NAME-tests" "${confined[@]}" --network none --workdir /project \
  --mount "type=volume,source=$packages,target=/venv,readonly" --env CI=1 --env NO_COLOR=1 \
  --env PYTHONDONTWRITEBYTECODE=1 --env 'PYTEST_ADDOPTS=-rfE --color=no -p no:cacheprovider' "$IMAGE" \
  timeout 1800 make setup check test VENV=/venv PYTHON=/usr/bin/python3
packed "$WORK/clean" | docker cp - "$NAME-tests:/project"
docker start --attach "$NAME-tests"

step publish
git -C "$forge" push --quiet . task:main
forget

step build
registry=()
for file in "$REGISTRY"/*; do [ ! -e "$file" ] || registry+=("--add-file=$file"); done
git -C "$forge" -c tar.umask=022 archive --prefix=.registry/ "${registry[@]}" --prefix= main |
  "${ssh[@]}" sudo -n docker build --network host --force-rm --build-arg "RELEASE_ID=$RELEASE" \
    --label "by-hand.project=$NAME" --label "by-hand.release=$RELEASE" --tag "$NAME:$RELEASE" -

step candidate
on_server <<'END'
secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
mkdir -p "/srv/$NAME/data" "/srv/$NAME/scratch"
cat >"/srv/$NAME/environment" <<VARIABLES
APP_ENV=production APP_NAME=$NAME PUBLIC_URL=http://$HOST:$PORT
ADMIN_TOKEN=$(secret)
HOME=/data DATA_DIR=/data LANG=C.UTF-8 HOST=0.0.0.0 RELEASE_ID=$RELEASE
VARIABLES
chown -R "$((20000 + PORT)):$((20000 + PORT))" "/srv/$NAME"
service "$NAME-candidate" candidate "/srv/$NAME/scratch"
until_it_answers "$(docker inspect --format '{{.NetworkSettings.IPAddress}}' "$NAME-candidate")"
docker stop --time 3 "$NAME-candidate"
docker rm --volumes "$NAME-candidate"
rm -rf "/srv/$NAME/scratch"
END

step live
on_server <<'END'
service "$NAME" live "/srv/$NAME/data" --restart unless-stopped --publish "0.0.0.0:$PORT:$PORT"
END

step probe
until_it_answers "$HOST"
step end
