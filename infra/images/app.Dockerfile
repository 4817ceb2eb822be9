# One image for every part of the platform: the API, the Temporal workers, the bot and the command line differ in their command.
FROM debian:bookworm-slim AS runtime
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git openssh-client python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# Whoever builds may add a directory .registry with pip.conf and ca.crt to the build context: how to reach a package
# index other than the public one. It stays in this stage.
FROM runtime AS packages
COPY requirements-image.txt .registry* /build/
RUN python3 -m venv /opt/venv \
    && PIP_CONFIG_FILE=/build/pip.conf /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /build/requirements-image.txt

FROM packages AS wheel
LABEL codegen-orchestrator.image=wheel
COPY . /source
RUN /opt/venv/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --no-index \
        --wheel-dir /wheel /source

FROM runtime
COPY --from=packages /opt/venv /opt/venv
# Volumes that are mounted on these directories take over their owner.
RUN groupadd --gid 10001 orchestrator \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/orchestrator orchestrator \
    && cd /var/lib && install -d -o orchestrator -g orchestrator -m 0700 orchestrator orchestrator/keys \
        orchestrator/forge orchestrator/artifacts orchestrator/handed-out orchestrator/handed-out/workers \
        orchestrator/handed-out/infra orchestrator/handed-out/bot orchestrator/handed-out/server
COPY infra/compose/hand-out-keys.sh /usr/local/bin/hand-out-keys
COPY --from=wheel /wheel /wheel
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /wheel/*.whl

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
