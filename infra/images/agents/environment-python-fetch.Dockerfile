ARG PARENT
FROM $PARENT
USER 0:0
COPY pip_settings.py environment-requirements.txt .registry* /build/
ENV PIP_CONFIG_FILE=/build/pip.conf PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CONFIG=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
RUN /usr/bin/python3 -m venv --without-pip /opt/environment/venv \
 && /usr/bin/python3 -P /build/pip_settings.py uv pip install --quiet --python /opt/environment/venv/bin/python \
      --compile-bytecode --only-binary :all: -r /build/environment-requirements.txt
