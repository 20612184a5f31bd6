"""The server under attack: other hosts, origins and sites, no token, paths, large bodies, many requests at once."""

import contextlib
import http.client
import importlib
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from biomarkers.cli.main import run

pytest.importorskip("tornado", reason="the extra 'review' is not installed")
pytest.importorskip("xstatic.pkg.leaflet", reason="the extra 'review' is not installed")
sys.path.insert(0, str(Path(__file__).parent))
serving = importlib.import_module("serving")
pytestmark = pytest.mark.slow
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(run_copy):
    with serving.served(run_copy) as found:
        yield found


def _ask(server, path, *, method="GET", body=None, headers=None, token=True):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    start = f"/{server.token}/" if token else "/"
    with contextlib.closing(connection):
        connection.request(method, start + path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def _reading(**more):
    return json.dumps({"reader": "A", "marker": "PD-L1", "score": "tps", "value": 5, **more})


def _files(run_copy):
    return {path.relative_to(run_copy): path.stat().st_size for path in run_copy.rglob("*")}


def test_the_page_and_its_parts_are_there(server):
    for name in ("", "app.js", "draw.js", "app.css", "leaflet.js", "leaflet.css"):
        status, body = _ask(server, name)
        assert status == 200, name
        assert len(body) > 500
    status, body = _ask(server, "tile/0/0/0/0.jpg")
    assert (status, body[:2]) == (200, b"\xff\xd8")


@pytest.mark.parametrize(
    ("headers", "path", "token"),
    [
        ({"Host": "evil.example"}, "api/cohort", True),
        ({"Host": "127.0.0.1:1"}, "api/cohort", True),
        ({"Origin": "http://evil.example"}, "api/cohort", True),
        ({"Origin": "null"}, "api/cohort", True),
        ({"Sec-Fetch-Site": "cross-site"}, "api/cohort", True),
        ({}, "api/cohort", False),
        ({}, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/api/cohort", False),
        ({}, "../run.json", True),
        ({}, "..%2f..%2frun.json", True),
        ({}, "%2e%2e/run.json", True),
        ({}, "run.json", True),
        ({}, "api/slide/0/../../run.json", True),
        ({}, "tile/0/0/0/-1.jpg", True),
        ({}, "api/slide/99999999999999999999", True),
    ],
)
def test_what_is_not_the_page_itself_is_refused(server, run_copy, headers, path, token):
    before = _files(run_copy)
    status, body = _ask(server, path, headers=headers, token=token)
    assert status in (403, 404), (status, body[:80])
    assert b"verb" not in body
    status, _ = (
        _ask(server, "api/slide/0/do/read", method="POST", body=_reading(), headers={**JSON, **headers})
        if headers
        else (403, b"")
    )
    assert status in (403, 404)
    assert _files(run_copy) == before


def test_other_methods_and_bodies_are_refused_and_nothing_is_written(server, run_copy):
    before = _files(run_copy)
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"):
        assert _ask(server, "api/slide/0/do/read", method=method)[0] in (404, 405), method
    bad = {
        "text/plain": (_reading(), {"Content-Type": "text/plain"}, 415),
        "form": ("a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        "no JSON": ("{", JSON, 400),
        "a list": ("[]", JSON, 400),
        "no reader": (json.dumps({"value": 5}), JSON, 400),
        "no name": (_reading(reader="  "), JSON, 400),
        "the software": (_reading(reader="software"), JSON, 400),
        "out of range": (_reading(value=500), JSON, 400),
        "not a number": (_reading(value="NaN"), JSON, 400),
        "another value": (_reading(value=[5]), JSON, 400),
    }
    for name, (body, headers, expected) in bad.items():
        assert _ask(server, "api/slide/0/do/read", method="POST", body=body, headers=headers)[0] == expected, name
    assert _ask(server, "api/slide/999/do/read", method="POST", body=_reading(), headers=JSON)[0] == 400
    assert (
        _ask(
            server,
            "api/slide/0/do/cells",
            method="POST",
            body=json.dumps({"reader": "A", "rows": [0], "name": "Tumor"}),
            headers=JSON,
        )[0]
        == 400
    )
    assert _files(run_copy) == before, "a reader who has not read corrects nothing"


def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(server, run_copy):
    before = _files(run_copy)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        head = f"POST /{server.token}/api/slide/0/do/read HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        link.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n".encode())
        answer = link.recv(200)
    assert answer == b"" or b" 400 " in answer or b" 413 " in answer
    assert _files(run_copy) == before
    assert _ask(server, "api/cohort")[0] == 200


def test_200_requests_at_once_are_answered(server):
    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda n: _ask(server, ("api/cohort", "tile/0/1/0/0.jpg")[n % 2])[0], range(200)))
    assert answers == [200] * 200


def test_blinding_is_kept_by_the_server(server):
    assert _ask(server, "api/slide/0/cells?reader=A")[0] == 400
    told = json.loads(_ask(server, "api/slide/0?reader=A")[1])
    assert told["locked"]
    assert "scores" not in told
    assert told["reason"] == ""
    assert all(one["scores"] is None for one in json.loads(_ask(server, "api/cohort?reader=A")[1])["slides"])
    assert _ask(server, "api/slide/0/do/read", method="POST", body=_reading(), headers=JSON)[0] == 200
    told = json.loads(_ask(server, "api/slide/0?reader=A")[1])
    assert told["scores"]
    assert json.loads(_ask(server, "api/slide/0?reader=B")[1])["readings"] == []
    again = json.loads(_ask(server, "api/slide/0/do/read", method="POST", body=_reading(value=7), headers=JSON)[1])
    assert [one["blinded"] for one in again["readings"]] == ["true", "false"], "the values were seen in between"


def test_an_area_that_cannot_be_read_back_is_never_written(server, run_copy):
    _ask(server, "api/slide/0/do/read", method="POST", body=_reading(), headers=JSON)
    for ring in ([[0, 0], [5, 5]], [[0, 0], [1e999, 0], [0, 9]], [[0, 0], [5, 5], [9, 9]], [], [["a", 1]] * 3, 7):
        body = json.dumps({"reader": "A", "ring": ring, "name": "Ignore*"})
        status, told = _ask(server, "api/slide/0/do/region", method="POST", body=body, headers=JSON)
        assert status == 400, (ring, told)
    assert not list((run_copy / "corrections").glob("*.geojson"))


def test_options_that_need_the_server(tmp_path, capsys):
    assert run(["review", str(tmp_path), "--read-only"]) == 2
    assert "--serve" in capsys.readouterr().err
    assert run(["review", str(tmp_path), "--serve", "--no-browser"]) == 2
