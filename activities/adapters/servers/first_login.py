"""How the provider of a machine lets us in: before the platform has a user there, and never after."""

from dataclasses import dataclass, field
from pathlib import Path

from activities.adapters.servers.remote_shell import KEPT_CONNECTION, ansible_words, ssh_options


@dataclass(frozen=True)
class FirstLogin:
    """By `password`, or by the key in `key_file`. The host key stands in `known_hosts_file` already."""

    handle: str
    host: str
    port: int
    user: str
    known_hosts_file: Path
    key_file: Path | None = None
    password: str | None = field(default=None, repr=False)

    def inventory(self, password_file: Path) -> dict[str, str | int | bool]:
        """The variables of the host in an Ansible inventory. The password is in `password_file` by then: a variable
        would be read as a template, and what a provider sends is no template."""
        root = self.user == "root"
        found: dict[str, str | int | bool] = {
            "ansible_host": self.host,
            "ansible_port": self.port,
            "ansible_user": self.user,
            "ansible_ssh_args": ansible_words(self._options()),
            "ansible_pipelining": True,
            "ansible_become": not root,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        if self.key_file is not None:
            found["ansible_ssh_private_key_file"] = str(self.key_file)
        if self.password is not None:
            read = "{{ lookup('ansible.builtin.file', first_password_file, rstrip=False) }}"
            found |= {"first_password_file": str(password_file), "ansible_password": read}
            found |= {} if root else {"ansible_become_password": read}
        return found

    def _options(self) -> list[str]:
        if self.password is None:
            return ssh_options(self.known_hosts_file, **KEPT_CONNECTION)
        methods = (
            "password,keyboard-interactive" if self.key_file is None else "publickey,password,keyboard-interactive"
        )
        by_password = {"BatchMode": "no", "NumberOfPasswordPrompts": "1", "PreferredAuthentications": methods}
        return ssh_options(self.known_hosts_file, **KEPT_CONNECTION, **by_password)
