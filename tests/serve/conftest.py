"""A simulated atlas and a client of the application that serves it."""

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from fastapi.testclient import TestClient
from tests.cli.conftest import insignia  # noqa: F401 - a fixture
from tests.serve.atlas_on_disk import write_atlas

from insignia.serve import ServeOptions, create_app

BASE = "http://127.0.0.1:8765"


@pytest.fixture(scope="session")
def atlas_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "cohort"
    write_atlas(path)
    return path


@pytest.fixture(scope="module")
def client(atlas_path):
    app = create_app({"cohort": atlas_path, "second one": atlas_path})
    with TestClient(app, base_url=BASE, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def client_of(atlas_path):
    """Make a client of an application of its own."""
    opened = []

    def make(path=None, **options):
        app = create_app({"cohort": path or atlas_path}, ServeOptions(**options))
        made = TestClient(app, base_url=BASE, raise_server_exceptions=False)
        opened.append(made.__enter__())
        return made

    yield make
    for one in opened:
        one.__exit__(None, None, None)
