# Stands in for Temporal's images: the server is the development server of Temporal's own program, on a file. The first step is the
# one of app.Dockerfile, so that both share its layer.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git openssh-client python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY temporal-requirements.txt .registry* /build/
RUN python3 -m venv /opt/venv \
    && PIP_CONFIG_FILE=/build/pip.conf /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /build/temporal-requirements.txt \
    && install -d -o 1000 -g 1000 /data
# A user without a name: the program asks the environment for one.
ENV PATH=/opt/venv/bin:/usr/bin:/bin HOME=/tmp USER=temporal
USER 1000:1000
