# What every agent with a model needs. It stands on system.Dockerfile. Droid asks `ps` about its own processes.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      curl jq less patch procps ripgrep unzip >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=fetched /opt/node /opt/node
COPY --from=fetched /opt/acp /opt/acp
COPY uv /usr/local/bin/uv
RUN install -d -m 0755 /model /opt/agents
ENV PATH=/opt/node/bin:$PATH
USER 1000:1000
WORKDIR /workspace
ENTRYPOINT ["/usr/bin/tini", "-g", "--"]
