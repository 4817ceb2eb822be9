# A capability that Debian has as a package.
ARG PARENT
FROM $PARENT
ARG PACKAGES
USER 0:0
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
USER 1000:1000
