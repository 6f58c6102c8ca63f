"""Whatever is asked within or beside the description of the API, no answer is a fault, and all are as described."""

import pytest
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from schemathesis.specs.openapi.checks import (  # noqa: E402 - only where the package is
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from insignia.serve import ServeOptions, create_app  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
USUAL = {"signature": "MS1", "by": "disease", "study": "study01", "sample": "sample1", "other": "IFN_I", "prefix": "S1"}
PLAIN = (
    "agg",
    "min_coverage",
    "by",
    "min_cells",
    "min_samples",
    "page",
    "page_size",
    "sort",
    "descending",
    "limit",
    "test",
)
HEADERS = {"host": "127.0.0.1"}


@pytest.fixture(scope="module")
def api(atlas_path):
    app = create_app({"cohort": atlas_path}, ServeOptions(workers=1))
    yield schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=HEADERS)
    app.state.insignia.work.close()


def aimed(case):
    """Ask two questions in three of the atlas that is there, and half of these of what it holds."""
    kind = len(repr(case.query)) % 3
    if kind and "atlas" in (case.path_parameters or {}):
        case.path_parameters["atlas"] = "cohort"
    if kind == 2:
        kept = {name: value for name, value in (case.query or {}).items() if name in PLAIN}
        known = {one["name"] for one in case.operation.definition.raw.get("parameters", [])}
        case.query = {**kept, **{name: value for name, value in USUAL.items() if name in known}}
    return case


def test_no_question_breaks_it(api):
    statuses = {}
    for found in api.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=10,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            case = aimed(case)
            response = case.call(headers=HEADERS)
            assert response.status_code != 500, (case.as_curl_command(), response.text)
            case.validate_response(response, checks=CHECKS)
            statuses.setdefault(case.operation.label, set()).add(response.status_code)

        ask()
    assert len(statuses) >= 18
    assert sum(200 in seen for seen in statuses.values()) >= 12, statuses
