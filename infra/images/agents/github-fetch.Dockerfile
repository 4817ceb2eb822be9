ARG PARENT
FROM $PARENT
USER 0:0
COPY pip_settings.py gh-requirements.txt .registry* /build/
ENV PIP_CONFIG_FILE=/build/pip.conf PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CONFIG=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
RUN python3 -P /build/pip_settings.py uv pip install --quiet --python /usr/bin/python3 --target /opt/gh \
      --only-binary :all: --require-hashes --no-deps -r /build/gh-requirements.txt \
 && test -x /opt/gh/bin/gh
