"""A page holds all it needs, shows what it was given, and runs nothing that it was given."""

import base64
import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tests.report.pages import Page, assert_self_contained, decoded

from insignia.report import Bullets, Code, Facts, Lead, Note, Paragraph, Picture, Section, Table, page

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;</td></table>"


def figure(points=5):
    made = Figure()
    made.add_subplot().scatter(np.arange(points), np.arange(points))
    return made


def write(path, *parts, **options):
    page("title", [Section("one", parts)], path, **options)
    return Page(path)


def test_every_part_is_shown(tmp_path):
    frame = pd.DataFrame({"name": ["b", "a"], "value": [1234567, 2], "share": [0.123, np.nan], "ok": [True, False]})
    texts = ["plain", Paragraph("para"), Lead("lead"), Note("note"), Bullets(["x1", "x2"]), Code("a < b")]
    drawn = [figure(), Picture(figure(), "caption", "alt text")]
    tables = [Facts({"key": 3}), frame, Table(frame, "the table", name="my table", percents=["share"])]
    made = write(tmp_path / "p.html", *texts, *drawn, *tables)
    assert_self_contained(made)
    for word in ("title", "one", "plain", "para", "lead", "note", "x2", "a < b", "key", "caption", "the table"):
        assert word in made.said
    assert [image["alt"] for image in made.all("img")] == ["figure", "alt text"]
    assert "1,234,567" in made.said
    assert "12\u00a0%" in made.source
    assert "–" in made.said
    pd.testing.assert_frame_equal(made.csv("my-table.csv"), frame)


def test_hostile_text_is_escaped_everywhere(tmp_path):
    frame = pd.DataFrame({HOSTILE: [HOSTILE]})
    drawn = figure()
    drawn.axes[0].set_title(HOSTILE)
    parts = [HOSTILE, Lead(HOSTILE), Note(HOSTILE), Bullets([HOSTILE]), Code(HOSTILE), Facts({HOSTILE: HOSTILE}),
             Picture(drawn, HOSTILE, HOSTILE), Table(frame, HOSTILE, name=HOSTILE)]  # fmt: skip
    path = tmp_path / "p.html"
    page(HOSTILE, [Section(HOSTILE, parts)] * 3, path, subtitle=HOSTILE)
    made = Page(path)
    assert_self_contained(made)
    assert len(made.all("img")) == 3
    assert "<script>alert" not in made.source
    assert made.said.count("<script>alert(1)</script>") > 20
    assert made.csv(next(iter(made.downloads))).iloc[0, 0] == HOSTILE
    assert all(re.fullmatch(r"[\w.-]+\.csv", name) for name in made.downloads)


def test_only_its_own_script_and_style_may_run(tmp_path):
    made = write(tmp_path / "p.html", "x")
    (policy,) = [meta["content"] for meta in made.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        inside = re.search(f"<{tag}>(.*)</{tag}>", made.source, re.DOTALL).group(1)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "prefers-color-scheme: dark" in made.source
    assert any(meta.get("name") == "viewport" for meta in made.all("meta"))


def test_dois_become_links_and_nothing_else_does(tmp_path):
    text = "See doi:10.1038/s41591-020-0752-4. And https://evil.example/ javascript:alert(1)"
    made = write(tmp_path / "p.html", text)
    assert [link["href"] for link in made.all("a")] == ["https://doi.org/10.1038/s41591-020-0752-4"]


def test_long_tables_are_cut_on_the_page_and_whole_in_the_file(tmp_path):
    frame = pd.DataFrame({"n": np.arange(250), "x": np.random.default_rng(0).random(250)})
    made = write(tmp_path / "p.html", Table(frame, max_rows=40))
    assert len(made.all("tr")) == 41
    assert "40 of 250 rows shown" in made.said
    np.testing.assert_array_equal(made.csv("table.csv")["x"], frame["x"])
    assert len(made.all("button")) == 2
    assert "rows shown" not in write(tmp_path / "q.html", Table(frame.head(3))).said


def test_cells_carry_what_sorting_needs(tmp_path):
    frame = pd.DataFrame({"x": [0.5, np.nan, 1e-9], "n": pd.array([3, None, 10], dtype="Int64")})
    values = [cell["data-value"] for cell in write(tmp_path / "p.html", Table(frame, percents=["x"])).all("td")]
    assert values == ["0.5", "3", "", "", "1e-09", "10"]
    assert all(value == "" or float(value) >= 0 for value in values)


def test_empty_tables_and_unicode(tmp_path):
    empty = Table(pd.DataFrame({"a": []}), name="empty")
    made = write(tmp_path / "p.html", Table(pd.DataFrame({"név": ["Sjögren 症候群"]})), empty, "\ud800")
    assert made.downloads["empty.csv"] == b"a\n"
    assert "Sjögren 症候群" in made.said
    assert "név" in made.downloads["table.csv"].decode()


def test_figures_with_many_points_become_png(tmp_path):
    images = [image["src"] for image in write(tmp_path / "p.html", figure(10), figure(5000)).all("img")]
    assert decoded(images[0]).startswith(b"<?xml")
    assert decoded(images[1]).startswith(b"\x89PNG")


def test_equal_pages_are_bit_equal_and_short_pages_have_no_index(tmp_path):
    write(tmp_path / "p.html", figure(), "x")
    write(tmp_path / "q.html", figure(), "x")
    assert (tmp_path / "p.html").read_bytes() == (tmp_path / "q.html").read_bytes()
    assert not Page(tmp_path / "p.html").all("nav")
    page("t", [Section(str(i), []) for i in range(4)], tmp_path / "r.html")
    assert [link["href"] for link in Page(tmp_path / "r.html").all("a")] == ["#s1", "#s2", "#s3", "#s4"]


def test_a_failure_leaves_the_old_page(tmp_path, monkeypatch):
    path = tmp_path / "sub" / "p.html"
    write(path, "old")
    whole = Path.write_text

    def full_disk(self, data, **options):
        whole(self, data[:100], **options)
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full_disk)
        with pytest.raises(OSError, match="no space left"):
            write(path, "new")
    assert "old" in Page(path).said
    assert [file.name for file in path.parent.iterdir()] == ["p.html"]
