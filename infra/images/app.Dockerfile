# One image for every part of the platform: the API, the Temporal workers, the bot and the command line differ in their command.
FROM debian:bookworm-slim AS runtime
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git openssh-client python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# Whoever builds may add a directory .registry with pip.conf and ca.crt to the build context: how to reach a package
# index other than the public one. It stays in this stage.
FROM runtime AS packages
COPY requirements-image.txt activities/adapters/packages/pip_settings.py .registry* /build/
ENV PIP_CONFIG_FILE=/build/pip.conf PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ONLY_BINARY=:all:
# pip fetches uv, and uv everything else.
RUN python3 -m venv /opt/venv \
    && awk '/^[a-z]/ {wanted = /^uv==/} wanted' /build/requirements-image.txt > /build/uv.txt \
    && /opt/venv/bin/pip install --require-hashes --no-deps -r /build/uv.txt \
    && /opt/venv/bin/python -P /build/pip_settings.py /opt/venv/bin/uv pip install --no-config --no-cache \
        --link-mode copy --compile-bytecode --python /opt/venv/bin/python --only-binary :all: --require-hashes \
        -r /build/requirements-image.txt

FROM packages AS wheel
LABEL codegen-orchestrator.image=wheel
COPY . /source
RUN /opt/venv/bin/uv build --wheel --offline --no-config --no-cache --no-build-isolation \
        --python /opt/venv/bin/python --out-dir /wheel /source

FROM runtime
COPY --from=packages /opt/venv /opt/venv
# Volumes that are mounted on these directories take over their owner.
RUN groupadd --gid 10001 orchestrator \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/orchestrator orchestrator \
    && cd /var/lib && install -d -o orchestrator -g orchestrator -m 0700 orchestrator orchestrator/keys \
        orchestrator/forge orchestrator/artifacts orchestrator/handed-out orchestrator/handed-out/workers \
        orchestrator/handed-out/infra orchestrator/handed-out/bot orchestrator/handed-out/server \
        orchestrator/handed-out/models orchestrator/sockets orchestrator/sockets/model
COPY infra/compose/hand-out-keys.sh /usr/local/bin/hand-out-keys
COPY infra/compose/worker-alive.sh /usr/local/bin/worker-alive
COPY --from=wheel /wheel /wheel
RUN /opt/venv/bin/uv pip install --offline --no-config --no-cache --link-mode copy --python /opt/venv/bin/python \
        --no-deps /wheel/*.whl

ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin HOME=/var/lib/orchestrator \
    ORCHESTRATOR_HOME=/var/lib/orchestrator ORCHESTRATOR_LOG_JSON=true ORCHESTRATOR_READY_FILE=/tmp/ready \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/orchestrator
USER 10001:10001
# Last, so that another build of the same sources shares every layer.
ARG BUILD=
LABEL org.opencontainers.image.title="codegen-orchestrator" org.opencontainers.image.revision=$BUILD
ENV ORCHESTRATOR_BUILD=$BUILD
CMD ["python", "-m", "api"]
