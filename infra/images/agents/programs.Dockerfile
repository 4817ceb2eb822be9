# The platform's own programs, last: a change of theirs fetches no agent again.
ARG PARENT
FROM $PARENT
USER 0:0
COPY root /
RUN python3 -m venv --without-pip /opt/orchestrator \
 && uv pip install --quiet --offline --no-config --no-cache --link-mode copy --no-deps --compile-bytecode \
      --python /opt/orchestrator/bin/python /opt/wheel/*.whl \
 && ln -sf /opt/orchestrator/bin/orchestrator /usr/local/bin/orchestrator \
 && chmod 0755 /usr/local/bin/worker-run \
 && /opt/acp/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/agent_wrapper /opt/egress
USER 1000:1000
