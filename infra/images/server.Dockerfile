# A server to deploy to: systemd as its first process, SSH with keys only, and a Docker Engine of its own.
FROM debian:bookworm-slim

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates dbus docker.io iproute2 iptables openssh-server python3 sudo systemd systemd-sysv \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_*

# Units that need a machine of their own (consoles, mounts, devices, clocks) have no place in a container.
RUN systemctl mask getty.target console-getty.service systemd-udevd.service systemd-udev-trigger.service \
        systemd-timesyncd.service systemd-modules-load.service sys-kernel-debug.mount sys-kernel-tracing.mount \
        dev-hugepages.mount systemd-remount-fs.service \
    && systemctl enable ssh.service docker.service \
    && useradd --create-home --shell /bin/bash --groups sudo orchestrator \
    && echo 'orchestrator ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/orchestrator \
    && chmod 0440 /etc/sudoers.d/orchestrator \
    && printf '%s\n' 'PasswordAuthentication no' 'PermitRootLogin no' 'UseDNS no' 'MaxStartups 50:30:100' \
        > /etc/ssh/sshd_config.d/orchestrator.conf \
    && mkdir /etc/systemd/system/ssh.service.d \
    && printf '%s\n' '[Service]' 'ExecStartPre=' 'ExecStartPre=/usr/bin/ssh-keygen -A' 'ExecStartPre=/usr/sbin/sshd -t' \
        > /etc/systemd/system/ssh.service.d/host-keys.conf

STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
