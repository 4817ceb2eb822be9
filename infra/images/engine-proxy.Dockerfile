# The only way of the agents' worker to the Docker Engine: what infra/compose/engine-proxy.cfg does not allow is refused.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends haproxy \
    && rm -rf /var/lib/apt/lists/*
COPY compose/engine-proxy.cfg /etc/haproxy/haproxy.cfg
EXPOSE 2375
CMD ["haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"]
