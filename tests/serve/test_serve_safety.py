"""Safe by default: who may ask, what is refused, and what happens when many ask at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from insignia.core.errors import InputError
from insignia.serve import ServeOptions, address, create_app
from insignia.serve.memo import Memo

pytestmark = pytest.mark.filterwarnings("ignore::insignia.core.errors.CoverageWarning")

A = "/api/atlases/cohort"
TOKEN = "a-token-of-many-letters"


def test_it_binds_to_this_machine_and_others_need_a_token():
    assert ServeOptions().host == "127.0.0.1"
    assert ServeOptions(host="::1").is_local
    with pytest.raises(InputError, match="a token is needed"):
        ServeOptions(host="0.0.0.0")
    with pytest.raises(InputError, match="16 letters"):
        ServeOptions(token="short")
    assert address(ServeOptions(host="0.0.0.0", token=TOKEN)) == f"http://0.0.0.0:8765/?token={TOKEN}"


def test_without_the_token_nothing_is_told(client_of):
    client = client_of(host="0.0.0.0", token=TOKEN)
    for path in ("/", "/static/app.css", "/api/atlases", f"{A}/search?signature=MS1", "/api/openapi.json"):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "insignia_token=wrong"}):
            found = client.get(path, headers=headers)
            assert found.status_code == 401, path
            assert found.json()["code"] == "TokenNeeded"
    assert client.get("/?token=wrong").status_code == 401
    assert client.get("/api/atlases", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address(client_of):
    client = client_of(host="0.0.0.0", token=TOKEN)
    first = client.get(f"/?token={TOKEN}&signature=MS1", follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/?signature=MS1")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/api/atlases").status_code == 200


def test_another_host_name_is_refused_where_no_token_guards(client):
    for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example"):
        assert client.get("/api/atlases", headers={"host": host}).status_code == 421
    for host in ("localhost:8765", "127.0.0.1", "[::1]:8765"):
        assert client.get("/api/atlases", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/..%2f..%2fapp.py", "/static/%2e%2e/routes.py", "/static//etc/passwd", "/etc/passwd",
     "/api/atlases/..%2f..%2fetc/search?signature=MS1", "/api/atlases/%2Fetc/search?signature=MS1"],
)  # fmt: skip
def test_no_path_reaches_the_file_system(client, path):
    found = client.get(path)
    assert found.status_code == 404
    assert "import" not in found.text


def test_every_answer_carries_the_policy(client):
    for path in ("/", "/api/atlases", "/nothing", f"{A}/search?signature=none"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_it_is_read_only(client, method):
    found = getattr(client, method)(f"{A}/search?signature=MS1")
    assert found.status_code == 405
    assert found.headers["content-type"] == "application/problem+json"


def test_too_many_queries_are_told_to_come_back(atlas_path):
    app = create_app({"cohort": atlas_path}, ServeOptions(workers=1, max_waiting=1))
    stop, started = threading.Event(), threading.Event()
    work = app.state.insignia.work

    def block():
        started.set()
        stop.wait(20)

    with TestClient(app, base_url="http://127.0.0.1") as client, ThreadPoolExecutor(3) as pool:
        running = pool.submit(client.portal.call, work.run, block)
        started.wait(20)
        waiting = pool.submit(client.get, f"{A}/search?signature=MS1")
        while work._open < 2:
            time.sleep(0.01)
        refused = client.get(f"{A}/search?signature=MS1")
        stop.set()
        assert (refused.status_code, refused.json()["code"]) == (503, "TooBusy")
        assert refused.headers["retry-after"] == "2"
        assert waiting.result().status_code == 200
        running.result()
        assert work._open == 0


def test_a_slow_query_is_given_up(atlas_path, monkeypatch):
    app = create_app({"cohort": atlas_path}, ServeOptions(timeout_s=0.05))
    stop = threading.Event()
    monkeypatch.setattr(app.state.insignia, "find", lambda *_: stop.wait(20))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        found = client.get(f"{A}/search?signature=MS1")
        stop.set()
    assert (found.status_code, found.json()["code"]) == (503, "TooSlow")
    assert "given up after 0.05 s" in found.json()["detail"]


def test_32_users_at_once_get_the_right_answers(atlas_path):
    app = create_app({"cohort": atlas_path}, ServeOptions(workers=2))
    signatures = ["MS1", "IFN_I", "housekeeping", "CYT"]
    with TestClient(app, base_url="http://127.0.0.1") as client:
        expected = {}
        for name in signatures:
            for tissue in ("blood", "lung"):
                response = client.get(f"{A}/search", params={"signature": name, "filter": f"tissue:{tissue}"})
                assert response.status_code == 200, response.text
                found = response.json()
                expected[name, tissue] = (found["hits"], found["cells"], found["cutoff"])
    fresh = create_app({"cohort": atlas_path}, ServeOptions(workers=2))
    with TestClient(fresh, base_url="http://127.0.0.1") as client, ThreadPoolExecutor(32) as pool:

        def ask(number):
            name, tissue = signatures[number % 4], ("blood", "lung")[number // 4 % 2]
            response = client.get(f"{A}/search", params={"signature": name, "filter": f"tissue:{tissue}"})
            assert response.status_code == 200, response.text
            found = response.json()
            return (name, tissue), (found["hits"], found["cells"], found["cutoff"])

        answers = list(pool.map(ask, range(96)))
        about = fresh.state.insignia.about()
    assert all(expected[key] == found for key, found in answers)
    assert about["searches"]["misses"] == 8


def test_the_memo_forgets_the_least_recently_used_and_keeps_no_failure():
    memo = Memo(10, len)
    made = []

    def make(text):
        made.append(text)
        return text

    for text in ("aaaa", "bbbb", "aaaa", "cccc", "bbbb"):
        assert memo.get(text, lambda text=text: make(text)) == text
    assert made == ["aaaa", "bbbb", "cccc", "bbbb"]
    with pytest.raises(ZeroDivisionError):
        memo.get("x", lambda: 1 / 0)
    assert memo.get("x", lambda: "fine") == "fine"
    assert memo.get("large", lambda: "x" * 11) == "x" * 11
    assert memo.about()["bytes"] <= 10


def test_equal_questions_at_once_are_worked_out_once():
    memo, made, together = Memo(100, len), [], threading.Barrier(4)

    def make():
        made.append(1)
        time.sleep(0.05)
        return "answer"

    def ask(_):
        together.wait()
        return memo.get("q", make)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == ["answer"] * 4
    assert len(made) == 1
