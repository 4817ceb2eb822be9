# What every image of agents and of tests begins with; the builder puts what belongs to one of them behind it.
FROM debian:bookworm-slim
# What a project's environment has comes first; nothing runs as root once there is one.
ENV PATH=/opt/environment/bin:/opt/environment/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      ca-certificates git make python3 python3-pip python3-venv tini >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

# A fixed number, so that volumes keep their owner from image to image. The empty directories give their owner to the
# volumes that are mounted there.
RUN groupadd --gid 1000 worker \
 && useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash worker \
 && install -d -o worker -g worker -m 0700 /workspace /project /venv /out /gateway /opt/environment \
      /home/worker/.claude /home/worker/outcomes \
 && chmod 0700 /home/worker
