# The place in which agents work and projects are tested. Built on demand; the tag is a hash of this file and of what
# is copied, so a stale image is never used. The build context is made by activities/adapters/containers/images.py.
FROM debian:bookworm-slim

RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      ca-certificates git make python3 python3-pip python3-venv tini >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

# A fixed number, so that volumes keep their owner from image to image. The empty directories give their owner to the
# volumes that are mounted there.
RUN groupadd --gid 1000 worker \
 && useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash worker \
 && install -d -o worker -g worker -m 0700 /workspace /project /venv /out /gateway /home/worker/.claude /home/worker/outcomes \
 && chmod 0700 /home/worker

COPY scripted_agent /opt/scripted_agent
COPY egress /opt/egress
COPY worker-run.sh /usr/local/bin/worker-run
# The program that installs packages, from the platform's own environment. It fails here where the engine's machine is
# of another kind than the platform's.
COPY uv /usr/local/bin/uv
RUN uv --version

USER 1000:1000
WORKDIR /workspace
# The first process reaps what others leave behind and passes signals on; when it ends, everything ends.
ENTRYPOINT ["/usr/bin/tini", "-g", "--"]
