"""The rules by which a URL goes through a proxy, and by which it does not."""

from __future__ import annotations

import pytest

from sessiontrace.model.proxy import is_this_machine, proxy_of
from sessiontrace.model.secret import Secret

URL = "https://api.example.com/v1"


def address(env: dict[str, str], url: str = URL) -> str | None:
    """The URL of the proxy that the environment names."""
    proxy = proxy_of(url, None, env)
    return None if proxy is None else proxy.url


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:2"}, "http://b:2"),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": ""}, None),
        ({"HTTP_PROXY": "http://a:1"}, None),
        ({"ALL_PROXY": "http://a:1"}, "http://a:1"),
        ({"all_proxy": "http://a:1", "HTTPS_PROXY": "b:3128"}, "http://b:3128"),
        ({"HTTPS_PROXY": "http://a"}, "http://a:80"),
        ({"HTTPS_PROXY": "http://[fd00::1]:3128/"}, "http://[fd00::1]:3128"),
    ],
)
def test_the_variable_of_the_scheme_wins_then_all_proxy(
    env: dict[str, str], expected: str | None
) -> None:
    """The lower-case form wins, as in urllib; the scheme of a proxy may be left out."""
    assert address(env) == expected


def test_a_request_header_cannot_name_the_proxy_of_a_cgi_program() -> None:
    """A server sets HTTP_PROXY from the header "Proxy:" (httpoxy)."""
    env = {"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}
    assert address(env, "http://collector:4318") is None
    assert address({**env, "http_proxy": "http://b:1"}, "http://collector:4318") == "http://b:1"


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", URL, True),
        ("example.com", URL, True),
        (".example.com", URL, True),
        ("*.example.com", URL, True),
        ("API.Example.Com", URL, True),
        ("ample.com", URL, False),
        ("other.org, example.com", URL, True),
        ("other.org example.com", URL, True),
        ("api.example.com:443", URL, True),
        ("api.example.com:8443", URL, False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3", "https://10.1.2.3:8443", True),
        ("fd00::/8", "https://[fd00::1]:8443", True),
        ("[fd00::1]:8443", "https://[fd00::1]:8443", True),
        ("[fd00::/8]", "https://[fd00::1]:8443", True),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]", True),
        ("10.*", "https://10.1.2.3", True),
        ("10.*", "https://110.1.2.3", False),
        ("api.*", URL, True),
        ("*.com:443", URL, True),
        ("https://api.example.com/v1", URL, True),
        ("api.example.com/", URL, True),
        ("localhost|*.example.com;other.org", URL, True),
        ("b\u00fccher.example", "https://xn--bcher-kva.example", True),
        ("xn--bcher-kva.example", "https://b\u00fccher.example", True),
        ("", URL, False),
        (" , ", URL, False),
        (".", URL, False),
    ],
)
def test_no_proxy_takes_hosts_suffixes_ports_and_networks(
    no_proxy: str, url: str, direct: bool
) -> None:
    """As curl and Go read it, which is more than urllib."""
    env = {"HTTPS_PROXY": "http://a:1", "NO_PROXY": no_proxy}
    assert (address(env, url) is None) is direct


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.2",
        "127.255.0.9",
        "::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
    ],
)
def test_this_machine_is_reached_without_a_proxy_unless_an_argument_names_one(host: str) -> None:
    """The whole of 127.0.0.0/8, ::1 and localhost."""
    assert is_this_machine(host)
    url = f"http://[{host}]:4318" if ":" in host else f"http://{host}:4318"
    env = {"HTTP_PROXY": "http://a:1", "ALL_PROXY": "http://a:1"}
    assert address(env, url) is None
    proxy = proxy_of(url, Secret("http://b:2"), env)
    assert proxy is not None
    assert proxy.url == "http://b:2"


@pytest.mark.parametrize("host", ["128.0.0.1", "127.0.0.1.example.com", "localhost.example.com"])
def test_other_machines_with_similar_names_are_not_this_one(host: str) -> None:
    """A name that begins like this machine's belongs to another."""
    assert not is_this_machine(host)


def test_an_empty_argument_means_a_direct_connection() -> None:
    """Whatever the environment says."""
    assert proxy_of(URL, Secret(""), {"HTTPS_PROXY": "http://a:1"}) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "not the URL of a proxy"),
        ("ftp://u:hidden@a:1", "not the URL of a proxy"),
        ("http://u:hidden@a:port", "not the URL of a proxy"),
        ("http://u:hid#den@a:1", "percent-escapes"),
        ("socks5://u:hidden@a:1", "SOCKS"),
    ],
)
def test_what_is_not_an_http_proxy_has_a_fault_that_hides_the_password(
    text: str, words: str
) -> None:
    """The fault names the argument."""
    proxy = proxy_of(URL, Secret(text), {})
    assert proxy is not None
    assert words in proxy.fault
    assert "proxy=" in proxy.fault
    assert "hid" not in repr(proxy)


def test_user_and_password_are_unescaped_and_hidden() -> None:
    """They leave the URL, so that no message about the proxy shows them."""
    proxy = proxy_of(URL, None, {"HTTPS_PROXY": "http://me%40x:p%3Aw@a:1"})
    assert proxy is not None
    assert proxy.login == Secret("me@x:p:w")
    assert proxy.url == "http://a:1"
    assert "p:w" not in repr(proxy)
