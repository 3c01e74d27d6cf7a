"""At the door: hosts, origins, headers, and that nothing but the page's own files is handed out."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from worldmodels.play.guard import Guard, host_name
from worldmodels.play.server import MEDIA_TYPES, STATIC, static_files

PACKAGE = Path(STATIC).parent


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """A request exactly as written: no client tidies up the path."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items():
        if value:
            connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    answer = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    connection.close()
    return answer


def test_it_is_in_good_health(server):
    status, _, body = get(server.port, "/healthz")
    assert (status, json.loads(body)) == (200, {"ok": True})


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/nothing", "/static/nothing.js", "/recordings/nothing.mp4"]
)
def test_every_answer_has_the_headers(server, path):
    for host in (f"localhost:{server.port}", "evil.example"):
        _, headers, _ = get(server.port, path, Host=host)
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-cache"
        assert "server" not in headers


@pytest.mark.parametrize(
    ("host", "origin", "welcome"),
    [
        ("localhost", "", True),
        ("localhost:9", "", True),  # a forwarded port
        ("127.0.0.1:9", "http://127.0.0.1:9", True),
        ("LOCALHOST:9", "https://localhost:9", True),
        ("[::1]:9", "http://[::1]:9", True),
        ("evil.example", "", False),
        ("evil.example:8765", "http://evil.example:8765", False),
        ("127.0.0.1.evil.example", "", False),
        ("localhost@evil.example", "", False),
        ("192.168.1.7", "", False),
        ("localhost:x", "", False),
        ("[::1", "", False),
        ("", "", False),
        ("localhost:9", "http://evil.example", False),
        ("localhost:9", "http://localhost:10", False),
        ("localhost:9", "null", False),
        ("localhost:9", "http://localhost:9.evil.example", False),
        ("localhost:9", "file://localhost:9", False),
    ],
)
def test_only_our_hosts_and_origins_are_served(server, host, origin, welcome):
    assert get(server.port, "/healthz", Host=host, Origin=origin)[0] == (
        200 if welcome else 403 if host else 400
    )


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_a_foreign_page_gets_no_socket(server, origin):
    with (
        pytest.raises(InvalidStatus, match="403"),
        connect(f"ws://127.0.0.1:{server.port}/ws", additional_headers={"Origin": origin}),
    ):
        pass
    ours = {"Origin": f"http://127.0.0.1:{server.port}"}
    with connect(f"ws://127.0.0.1:{server.port}/ws", additional_headers=ours) as socket:
        assert json.loads(socket.recv(20))["type"] == "hello"


def test_on_every_address_any_number_will_do_but_no_name():
    everywhere = Guard(lambda *_: None, "0.0.0.0")  # type: ignore[arg-type]
    named = Guard(lambda *_: None, "playground")  # type: ignore[arg-type]
    for guard, host, welcome in [
        (everywhere, b"192.168.1.7:8765", True),
        (everywhere, b"[fe80::1]:8765", True),
        (everywhere, b"evil.example:8765", False),
        (named, b"playground:8765", True),
        (named, b"192.168.1.7:8765", False),
    ]:
        assert guard._welcome([(b"host", host)]) is welcome
    assert not named._welcome([(b"host", b"playground"), (b"host", b"evil.example")])


def test_names_in_host_headers():
    given = ["a", "a:1", "[::1]", "[::1]:1", "::1", "a:", "a:b", "[::1]x", "", ":1", "[]"]
    expected = ["a", "a", "::1", "::1", None, None, None, None, None, None, None]
    assert [host_name(host) for host in given] == expected


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e%2fserver.py",
        "/static/..%5cserver.py",
        "/static/js/../../server.py",
        "/static/./../server.py",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static//%2e%2e/%2e%2e/server.py",
        f"/static/{PACKAGE}/server.py",
        f"/static/%00{PACKAGE}/server.py",
        "/static/",
        "/static",
        "/static/js/",
        "/../worldmodels/play/server.py",
        "//etc/passwd",
        "/server.py",
        "/static/index.html%00.py",
        "/recordings/../static/index.html",
        "/recordings/..%2fserver.py",
        "/docs",
        "/openapi.json",
    ],
)
def test_nothing_else_on_the_disk_is_reached(server, path):
    status, _, body = get(server.port, path)
    assert status in (307, 400, 404)
    assert b"import" not in body
    assert b"root:" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_can_be_sent(server, method):
    assert get(server.port, "/", method, **{"Content-Length": "0"})[0] in (404, 405)


def test_the_page_s_own_files_are_listed_and_served(server):
    files = static_files()
    assert all(path.is_relative_to(STATIC) for path in files.values())
    for name, path in files.items():
        status, headers, body = get(server.port, f"/static/{name}")
        assert (status, body) == (200, path.read_bytes())
        assert headers["content-type"] == MEDIA_TYPES[path.suffix]
    if "index.html" in files:
        assert get(server.port, "/")[2] == files["index.html"].read_bytes()


def test_links_and_strange_files_are_not_listed(tmp_path):
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "page.js").write_text("1")
    (tmp_path / "js" / "secret.key").write_text("1")
    (tmp_path / "link.js").symlink_to(PACKAGE / "server.py")
    assert list(static_files(tmp_path)) == ["js/page.js"]
