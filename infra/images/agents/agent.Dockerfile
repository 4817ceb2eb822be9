# One agent's own programs, on top of what every agent has.
ARG FETCHED
ARG PARENT
FROM $FETCHED AS fetched
FROM $PARENT
ARG AGENT
COPY --from=fetched /opt/agents/$AGENT /opt/agents/$AGENT
ENV PATH=/opt/agents/$AGENT/bin:$PATH
