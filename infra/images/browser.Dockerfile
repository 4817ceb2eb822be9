# The worker image with a browser, for checks of pages. Built on demand by activities/adapters/acceptance/browser_image.py;
# the tag is a hash of this file and of the image below.
ARG BASE
FROM $BASE
USER root
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && chromium --version --no-sandbox
USER 1000:1000
