# The program `gh`, without any credential.
ARG FETCHED
ARG PARENT
FROM $FETCHED AS fetched
FROM $PARENT
COPY --from=fetched /opt/gh /opt/gh
COPY gh.sh /usr/local/bin/gh
USER 1000:1000
