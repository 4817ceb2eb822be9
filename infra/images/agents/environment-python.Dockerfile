# Python packages that a project's environment names: wheels only, so nothing of theirs runs before an agent uses it.
ARG FETCHED
ARG PARENT
FROM $FETCHED AS fetched
FROM $PARENT
COPY --from=fetched --chown=1000:1000 /opt/environment/venv /opt/environment/venv
