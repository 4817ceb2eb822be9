# A machine as a provider hands it over: systemd, SSH for root, by password too, Python, and nothing else.
FROM debian:bookworm-slim

# Archives of these are kept in the image, with the lists of packages: what is provisioned often fetches nothing.
ARG CACHED_PACKAGES=""

RUN rm -f /etc/apt/apt.conf.d/docker-* \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openssh-server python3 sudo systemd systemd-sysv \
    && apt-get clean \
    && if [ -n "$CACHED_PACKAGES" ]; then apt-get install -y --no-install-recommends --download-only $CACHED_PACKAGES; \
       else rm -rf /var/lib/apt/lists/*; fi \
    && rm -f /etc/ssh/ssh_host_*

# Units that need a machine of their own (consoles, mounts, devices, clocks) have no place in a container.
RUN systemctl mask getty.target console-getty.service systemd-udevd.service systemd-udev-trigger.service \
        systemd-timesyncd.service systemd-modules-load.service sys-kernel-debug.mount sys-kernel-tracing.mount \
        dev-hugepages.mount systemd-remount-fs.service \
    && systemctl enable ssh.service \
    && printf '%s\n' 'PasswordAuthentication yes' 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf \
    && mkdir /etc/systemd/system/ssh.service.d \
    && printf '%s\n' '[Service]' 'ExecStartPre=' 'ExecStartPre=/usr/bin/ssh-keygen -A' 'ExecStartPre=/usr/sbin/sshd -t' \
        > /etc/systemd/system/ssh.service.d/host-keys.conf

STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
