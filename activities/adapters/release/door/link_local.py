"""Services ask no cloud for the credentials of their server: a rule of its kernel refuses link-local addresses.

Name servers may be at such an address, so port 53 stays open. Standard library only: servers import it.
"""

from activities.adapters.release.door import systemd
from activities.adapters.release.networks import POOL

NAME = "orchestrator-link-local.service"
# In /bin/sh of a unit a dollar is written twice. The kernel takes no range that ends with the last port.
_UNIT = f"""# Written by the platform whenever it prepares this server; changes are lost.
[Unit]
Description=Services that are deployed here reach no link-local address
After=network.target systemd-networkd.service
PartOf=systemd-networkd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for ports in 1-52 54-65534; do \\
  rule="from {POOL} to 169.254.0.0/16 ipproto tcp dport $$ports prohibit priority 90"; \\
  ip rule del $$rule 2>/dev/null; ip rule add $$rule || exit 1; done'

[Install]
WantedBy=multi-user.target
"""


async def refuse_link_local() -> str:
    """Put the rule there, now and at each start of the server. Empty, or why that cannot be. Repeatable."""
    if not systemd.has_systemd():
        return "there is no systemd"
    await systemd.write_unit(NAME, _UNIT)
    for command in ("enable", "restart"):
        code, said = await systemd.systemctl(command, NAME)
        if code != 0:
            return said
    return ""
