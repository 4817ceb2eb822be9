ARG PARENT
FROM $PARENT
ARG AGENT
USER 0:0
COPY package.json package-lock.json programs unneeded fetch-agent.sh check-lock.js .registry* /build/
RUN sh -eu /build/fetch-agent.sh "/opt/agents/$AGENT"
