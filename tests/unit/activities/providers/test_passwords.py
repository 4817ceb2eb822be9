"""A password is found in a text and in a piece of a web page; nothing else is taken for one."""

import pytest

from activities.adapters.providers.passwords import password_of


@pytest.mark.parametrize(
    ("results", "password"),
    [
        ("New password: Xk9$mP3qR7", "Xk9$mP3qR7"),
        ("Root password: a<b>c\nThe server is ready.", "a<b>c"),
        ("Server reinstalled.\nUser: root\nPassword:\tq'w\"e&r\nIP: 203.0.113.1", "q'w\"e&r"),
        ("Password: <b>bold9</b>", "bold9"),
        ("<tr><td>Password:</td><td>cell9</td></tr>", "cell9"),
        ("Password: \t<a onclick='this.innerHTML = \"Xk9mP3qR7\"'>Reveal</a>", "Xk9mP3qR7"),
        ("Password: <a onclick=\"this.innerHTML='x&amp;y'\">Reveal</a>", "x&y"),
        ('Password: <a onclick="this.innerHTML = &quot;esc&quot;">Reveal</a>', "esc"),
        ('Password: <a onclick=\'this.innerHTML = "a\\"b\\\\c"\'>Reveal</a>', 'a"b\\c'),
        ("", None),
        ("VM rebooted successfully", None),
        ("Password: <a href='/show'>Click to show</a>", None),
        ("The password was sent by mail.", None),
        ("Password:", None),
        ("Password: a&amp;b", "a&amp;b"),
        ("Password:<br>line9", "line9"),
    ],
)
def test_the_password_is_found(results: str, password: str | None) -> None:
    assert password_of(results) == password
