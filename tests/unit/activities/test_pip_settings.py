"""How pip is configured, and what uv is told of it."""

import pytest

from activities.adapters.packages.pip_settings import UnusableSettings, parse_pip_settings, secrets_in, uv_variables


def test_a_variable_wins_over_a_file_and_a_value_may_hold_an_equals_sign() -> None:
    listing = ":env:.index_url='http://a/?x=1'\nglobal.index-url='http://b/'\nlist.format='json'"
    assert parse_pip_settings(listing) == {"index-url": "http://a/?x=1"}


def test_a_value_of_several_lines_stays_whole() -> None:
    assert parse_pip_settings("install.find-links='/a\\n/b'") == {"find-links": "/a\n/b"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, {}),
        ({"index-url": "http://a/simple"}, {"UV_DEFAULT_INDEX": "http://a/simple"}),
        (
            {"extra-index-url": "http://a/\nhttp://b/"},
            {"UV_INDEX": "http://a/ http://b/", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ({"find-links": "/wheels /more"}, {"UV_FIND_LINKS": "/wheels,/more"}),
        ({"cert": "/ca.pem", "client-cert": "/me.pem"}, {"SSL_CERT_FILE": "/ca.pem", "SSL_CLIENT_CERT": "/me.pem"}),
        ({"proxy": "http://p:1"}, {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:1"}),
        ({"trusted-host": "a b", "constraint": "/c.txt"}, {"UV_INSECURE_HOST": "a b", "UV_CONSTRAINT": "/c.txt"}),
        ({"default-timeout": "60", "timeout": "5"}, {"UV_HTTP_TIMEOUT": "5"}),
        (
            {"no-index": "1", "index-url": "http://a/", "extra-index-url": "http://b/", "find-links": "/w"},
            {"UV_DEFAULT_INDEX": "file:///nonexistent", "UV_FIND_LINKS": "/w"},
        ),
        ({"pre": "1", "require-hashes": "yes"}, {"UV_PRERELEASE": "allow", "UV_REQUIRE_HASHES": "true"}),
        (
            {"keyring-provider": "subprocess", "use-feature": "truststore"},
            {"UV_KEYRING_PROVIDER": "subprocess", "UV_SYSTEM_CERTS": "true"},
        ),
        ({"keyring-provider": "auto", "target": "/elsewhere", "retries": "9"}, {"UV_HTTP_RETRIES": "9"}),
        ({"quiet": "1", "only-binary": ":none:", "pre": "0", "no-index": "false"}, {}),
        (
            {"config-file": "/build/pip.conf", "no-cache-dir": "1", "only-binary": ":all:", "cert": "/c"},
            {"SSL_CERT_FILE": "/c"},
        ),
    ],
)
def test_uv_is_told_where_packages_come_from_and_whom_to_trust(settings: dict[str, str], told: dict[str, str]) -> None:
    assert uv_variables(settings, {}) == told


@pytest.mark.parametrize("option", ["of-a-pip-to-come", "global-option"])
def test_a_setting_without_a_counterpart_is_refused_with_what_to_do(option: str) -> None:
    with pytest.raises(UnusableSettings, match=f"pip's setting `{option}`. .* set PIP_[A-Z_]+ to an empty value"):
        uv_variables({option: "1"}, {})
    assert uv_variables({option: "0"}, {}) == {}


def test_sources_that_are_set_for_uv_are_the_only_ones() -> None:
    settings = {"index-url": "http://a/", "extra-index-url": "http://b/", "find-links": "/w", "timeout": "5"}
    for own in ("UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        assert uv_variables(settings, {own: "http://mine/"}) == {"UV_HTTP_TIMEOUT": "5"}


def test_what_is_set_for_uv_wins_over_what_pip_does() -> None:
    settings = {"index-url": "http://a/", "cert": "/a.pem", "constraint": "/c.txt"}
    chosen = {"UV_DEFAULT_INDEX": "http://b/", "SSL_CERT_FILE": "/b.pem", "UV_CONSTRAINT": ""}
    assert uv_variables(settings, chosen) == {}


def test_certificates_of_python_programs_are_certificates_for_uv() -> None:
    assert uv_variables({}, {"REQUESTS_CA_BUNDLE": "/r.pem"}) == {"SSL_CERT_FILE": "/r.pem"}
    assert uv_variables({"cert": "/a.pem"}, {"REQUESTS_CA_BUNDLE": "/r.pem"}) == {"SSL_CERT_FILE": "/a.pem"}


def test_what_a_url_holds_beside_scheme_and_host_is_secret() -> None:
    told = {"UV_INDEX": "https://me:word@a.example/key/simple?x=more http://b.example", "HTTP_PROXY": "http://who@p:1"}
    assert secrets_in(told) == {"me:word", "me", "word", "/key/simple", "?x=more", "who"}
    assert secrets_in({"UV_FIND_LINKS": "/opt/wheels,file:///opt/more"}) == set()
