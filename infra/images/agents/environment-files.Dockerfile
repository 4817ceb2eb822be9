# Files of the repository that the set-up steps of its environment need.
ARG PARENT
FROM $PARENT
COPY --chown=1000:1000 files /opt/environment/files
