# Services that a project's environment names. What they begin with is made once, here, by the user who runs them.
ARG PARENT
FROM $PARENT
ARG PACKAGES
USER 0:0
RUN mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf \
 && apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && install -d -o worker -g worker -m 0755 /opt/services
COPY services-start.sh /usr/local/bin/services-start
USER 1000:1000
RUN initdb=$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null) || exit 0; \
    "$initdb" --pgdata /opt/services/postgresql --username worker --auth trust --encoding UTF8 --locale C.UTF-8 \
      --no-sync >/dev/null \
 && printf '%s\n' "listen_addresses = '127.0.0.1'" "unix_socket_directories = '/tmp/services'" "fsync = off" \
      "synchronous_commit = off" "full_page_writes = off" >>/opt/services/postgresql/postgresql.conf
