# One image for every part of the platform: the API, the Temporal workers, the bot and the command line differ in their command.
FROM debian:bookworm-slim AS runtime
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git openssh-client python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 orchestrator \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/orchestrator orchestrator \
    # Volumes that are mounted here take over the owner.
    && install -d -o orchestrator -g orchestrator -m 0700 /var/lib/orchestrator \
        /var/lib/orchestrator/keys /var/lib/orchestrator/forge /var/lib/orchestrator/artifacts \
        /var/lib/orchestrator/handed-out

# Whoever builds may add a directory .registry with pip.conf and ca.crt to the build context: how to reach a package
# index other than the public one. It stays in this stage.
FROM runtime AS packages
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY requirements-image.txt .registry* /build/
RUN python3 -m venv /opt/venv \
    && PIP_CONFIG_FILE=/build/pip.conf /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /build/requirements-image.txt

FROM packages AS wheel
COPY . /source
RUN /opt/venv/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --no-index \
        --wheel-dir /wheel /source

FROM runtime
COPY --from=packages /opt/venv /opt/venv
COPY --from=wheel /wheel /wheel
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /wheel/*.whl

ENV PATH=/opt/venv/bin:/usr/bin:/bin HOME=/var/lib/orchestrator ORCHESTRATOR_HOME=/var/lib/orchestrator \
    ORCHESTRATOR_LOG_JSON=true ORCHESTRATOR_READY_FILE=/tmp/ready PYTHONUNBUFFERED=1
WORKDIR /var/lib/orchestrator
USER 10001:10001
# Last, so that another build of the same sources shares every layer.
ARG BUILD=
LABEL org.opencontainers.image.title="codegen-orchestrator" org.opencontainers.image.revision=$BUILD
ENV ORCHESTRATOR_BUILD=$BUILD
CMD ["python", "-m", "api"]
