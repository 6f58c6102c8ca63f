"""`where` under fire: whatever is typed, it selects cells or is refused, and does nothing else."""

import os
import threading
import time

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insignia.atlas import filters
from insignia.atlas.expressions import parse_expression
from insignia.core.errors import FilterError

MARK = "hostile-secret-5511"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    disease = ["normal", "COVID-19;sepsis", "sepsis"] * 10
    atlas = make_atlas(folder / "a", [cells("S1", 30, age=range(30), disease=disease)], extra=["age"])
    (folder / "secret.csv").write_text(f"column0\n{MARK}\n")
    return atlas._snapshot


HOSTILE = [
    # statements
    "1=1; DROP TABLE cells",
    "true; SELECT 1",
    "true;",
    "SELECT 1",
    "(SET enable_external_access = true)",
    "COPY cells TO '{folder}/stolen.csv'",
    "COPY (SELECT 1) TO '{folder}/stolen.csv'",
    "ATTACH '{folder}/stolen.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "EXPORT DATABASE '{folder}/stolen'",
    "CREATE TABLE t AS SELECT 1",
    "CHECKPOINT",
    "EXECUTE p",
    "SET VARIABLE x = 1",
    # files, settings, environment
    "study IN (SELECT content FROM read_text('{folder}/secret.csv'))",
    "study IN (SELECT column0 FROM read_csv('{folder}/secret.csv'))",
    "study IN (SELECT column0 FROM '{folder}/secret.csv')",
    "EXISTS (FROM glob('{folder}/*'))",
    "study IN (FROM read_blob('{folder}/secret.csv'))",
    "getenv('HOME') LIKE '/%'",
    "current_setting('home_directory') <> ''",
    "getvariable('x') IS NULL",
    "version() <> ''",
    "current_database() = 'memory'",
    "query('SELECT 1') = 1",
    "study IN (SELECT * FROM query_table('given'))",
    "study IN (SELECT table_name FROM duckdb_tables())",
    "study IN (SELECT name FROM pragma_table_info('given'))",
    "study IN (SELECT value FROM duckdb_settings())",
    "study = (SELECT min(study) FROM given)",
    "age > (SELECT count(*) FROM atlas)",
    "txid_current() > 0",
    "write_log('x') IS NULL",
    "nextval('s') = 1",
    # more than an expression, or another kind of one
    "1=1 UNION SELECT 1",
    "true) OR (true",
    "true THEN true END OR CASE WHEN true",
    "true THEN true WHEN true",
    "true THEN true ELSE false END, CASE WHEN true",
    "true THEN true END FROM cells UNION ALL SELECT CASE WHEN true",
    "true THEN true END FROM cells --",
    "true THEN true END FROM cells /*",
    "true /*",
    "true LIMIT 1",
    "study = 'S1', age = 3",
    "study = 'S1' ORDER BY age",
    "age = ANY(SELECT 1)",
    "EXISTS (SELECT 1)",
    "sum(age) > 3",
    "row_number() OVER () = 1",
    "unnest([true])",
    "COLUMNS(*) = 'x'",
    "*",
    "age = ?",
    "age = $1",
    "x -> x",
    "list_filter(diseases, lambda d: d = 'x')",
    "\"insignia row\" = 1",
    "rowid = 1",
    "given.age = 1",
    "struct_pack(a := age).a = 1",
    # too much: memory, time, depth, size
    "length(repeat('x', 1000000000)) > 1",
    "len(range(1000000000)) > 1",
    "len(generate_series(1, 1000000000)) > 1",
    "length(lpad('x', 1000000000, 'y')) > 1",
    "length(format('{{:1000000000}}', 'x')) > 1",
    "length(replace(replace(replace(study, 'S', 'SSSSSSSS'), 'S', 'SSSSSSSS'), 'S', 'SSSSSSSS')) > 1",
    "bar(1, 0, 1, 1000000000) = ''",
    "list_resize([1], 1000000000) = [1]",
    "len(bitstring('0', 1000000000)) = 1",
    "sleep_ms(100000) IS NULL",
    "(" * 3000 + "true" + ")" * 3000,
    "NOT " * 5000 + "true",
    "lower(" * 400 + "study" + ")" * 400 + " = ''",
    "'" + "x" * 200_000 + "' = study",
    "regexp_matches(barcode, '((a{{1,100}}){{1,100}}){{1,100}}')",
    # not what it should be
    "",
    "   \n",
    "study",
    "study = ",
    "nonsense = 1",
    "age + 'x' = 1",
    "study = 'S1\0'",
    "age = '3'::REGCLASS",
    "study = chr(83) || '1'",
    "age = ALL([1])",
    "age % 0 = 1",
    "barcode ~ '('",
    "U&'x' = study",
    "diseases",
    "('S1')",
    "has(disease)",
    "\ud800 = 1",
]  # fmt: skip


@pytest.mark.parametrize("where", HOSTILE, ids=lambda text: ascii(text[:48]))
def test_what_is_hostile_is_refused(snapshot, where):
    folder = snapshot.path.parent
    before = sorted(folder.rglob("*"))
    began = time.perf_counter()
    with pytest.raises(FilterError, match=r"Expected one expression such as .* over the columns study, ") as refusal:
        filters.select(snapshot, where.format(folder=folder) if "{" in where else where)
    assert time.perf_counter() - began < 5
    assert sorted(folder.rglob("*")) == before
    assert MARK not in str(refusal.value)
    assert len(str(refusal.value)) < 3000
    # and the next filter is none the worse
    assert filters.select(snapshot, "age < 3").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "where",
    [
        "true) OR (true",
        "true THEN true END OR CASE WHEN true",
        "true THEN true WHEN true",
        "true THEN true ELSE false END, CASE WHEN true",
        "true THEN true ELSE getenv('HOME') END, CASE WHEN true",
        "true THEN getenv('HOME') IS NULL END, CASE WHEN true",
        "true THEN true END FROM cells UNION ALL SELECT CASE WHEN true",
        "true THEN true END FROM read_csv('x') AS cells, (SELECT CASE WHEN true",
        "true THEN true END, (SELECT getenv('HOME')), CASE WHEN true",
        "true THEN true END FROM cells WHERE true; SELECT CASE WHEN true",
    ],
)
def test_an_expression_does_not_leave_its_place(where):
    # by the parser alone, before anything could run
    with filters._connection() as connection, pytest.raises(FilterError, match="does not select cells"):
        parse_expression(connection, where, ["age"])


def test_refusals_say_what_to_do_instead(snapshot):
    def why(where):
        with pytest.raises(FilterError) as refusal:
            filters.select(snapshot, where)
        return str(refusal.value)

    assert "There is no column 'tisue'. Did you mean tissue?" in why("tisue = 'blood'")
    assert "There is no column 'blood'. Text stands in single quotes." in why('tissue = "blood"')
    assert "The function lowr() may not be used here. Did you mean lower()?" in why("lowr(tissue) = 'blood'")
    assert "It is more than one expression." in why("true THEN true END OR CASE WHEN true")
    assert "A subquery may not be used here." in why("age IN (SELECT 1)")


def test_the_connection_itself_reaches_nothing(snapshot):
    # should a function slip through the list one day, this is the second wall
    secret = snapshot.path.parent / "secret.csv"
    with filters._connection() as connection:
        for statement in (
            f"SELECT * FROM read_csv('{secret}')",
            f"COPY (SELECT 1) TO '{secret.parent}/stolen.csv'",
            f"ATTACH '{secret.parent}/stolen.db'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
            "SELECT * FROM secret_frame",
        ):
            secret_frame = snapshot.frame()  # noqa: F841 (Python variables are no tables)
            with pytest.raises(Exception, match=r"(?i)disabled|locked|not exist|permission|configuration"):
                connection.execute(statement).fetchall()


def test_what_takes_too_long_is_given_up(snapshot, monkeypatch):
    monkeypatch.setattr(filters, "_query", lambda *_: "SELECT count(*) FROM range(100000000000) WHERE range % 7 = 3")
    began = time.perf_counter()
    with pytest.raises(FilterError, match=r"it took longer than 0\.2 seconds"):
        filters.evaluate(snapshot, ["true"], time_limit_s=0.2)
    assert time.perf_counter() - began < 10
    monkeypatch.undo()
    assert filters.evaluate(snapshot, ["age < 3"]).sum() == 3


def test_threads_and_forks_have_their_own(snapshot):
    found = {}

    def work(k):
        found[k] = [filters.select(snapshot, f"age = {(k + i) % 30}").tolist() for i in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: [[(k + i) % 30] for i in range(20)] for k in range(4)}
    assert set(filters._bases) == {os.getpid()}


def test_missing_values_are_neither_true_nor_false(snapshot):
    found = filters.evaluate(snapshot, ["age < 10", "nullif(age, 3) < 10", "NULL"], np.array([2, 3, 29]))
    assert found.tolist() == [[1, 1, -1], [1, -1, -1], [0, 0, -1]]


TOKENS = """
 ( ) , ; ' " -- /* */ . * :: [ ] = <> < + - || AND OR NOT IN IS NULL LIKE BETWEEN CASE WHEN THEN ELSE END
 SELECT FROM WHERE UNION LIMIT WITH EXISTS study tissue age disease diseases cells given has( lower( read_csv(
 repeat( 'S1' 'blood' 1 3 1e300 true false $1 ? @ \\ { } := -> VALUES PRAGMA SET
""".split()  # noqa: SIM905


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.lists(st.sampled_from(TOKENS), max_size=14).map(" ".join), st.text(max_size=40)))
def test_any_text_selects_or_is_refused(snapshot, where):
    try:
        rows = filters.select(snapshot, where)
    except FilterError:
        return
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert 0 <= rows.min() <= rows.max() < 30


def _grown(inner):
    return st.one_of(
        st.tuples(st.sampled_from(["AND", "OR"]), inner, inner).map(
            lambda t: (f"({t[1][0]} {t[0]} {t[2][0]})", f"({t[1][1]} {'&' if t[0] == 'AND' else '|'} {t[2][1]})")
        ),
        inner.map(lambda t: (f"NOT {t[0]}", f"(~{t[1]})")),
    )


PYTHON = {"<": "<", ">": ">", "=": "==", "<>": "!="}
LEAVES = st.one_of(
    st.tuples(st.sampled_from(list(PYTHON)), st.integers(-1, 31)).map(
        lambda t: (f"(age {t[0]} {t[1]})", f"(obs.age {PYTHON[t[0]]} {t[1]})")
    ),
    st.sampled_from(["normal", "sepsis", "COVID-19", "none"]).map(
        lambda d: (f"has(disease, '{d}')", f"obs.disease.map(lambda t: '{d}' in t.split(' || '))")
    ),
    st.sampled_from(["normal", "sepsis", "COVID-19", "none"]).map(
        lambda d: (f"list_contains(diseases, '{d}')", f"obs.disease.map(lambda t: '{d}' in t.split(' || '))")
    ),
    st.sampled_from(["B cell", "monocyte"]).map(lambda c: (f"(cell_type = '{c}')", f"(obs.cell_type == '{c}')")),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.recursive(LEAVES, _grown, max_leaves=8))
def test_expressions_say_what_python_says(snapshot, pair):
    where, python = pair
    obs = snapshot.frame().astype({"disease": str, "cell_type": str})
    expected = eval(python, {"obs": obs})  # built above
    np.testing.assert_array_equal(filters.evaluate(snapshot, [where])[:, 0], expected.to_numpy().astype(int))
