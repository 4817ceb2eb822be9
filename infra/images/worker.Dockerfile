# The place in which the scripted agent works and projects are tested. It stands on system.Dockerfile. Built on demand; the
# tag is a hash of both and of what is copied, so a stale image is never used.
# The build context is made by activities/adapters/containers/images.
COPY scripted_agent /opt/scripted_agent
COPY egress /opt/egress
COPY worker-run.sh /usr/local/bin/worker-run
# The program that installs packages, from the platform's own environment. It fails here where the engine's machine is
# of another kind than the platform's.
COPY uv /usr/local/bin/uv
RUN uv --version

USER 1000:1000
WORKDIR /workspace
# The first process reaps what others leave behind and passes signals on; when it ends, everything ends.
ENTRYPOINT ["/usr/bin/tini", "-g", "--"]
