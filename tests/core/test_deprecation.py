"""Names that go away warn, work as before, and go."""

import importlib
import re
from pathlib import Path

import pytest
from packaging.version import Version

import insignia
from insignia.core import deprecation
from insignia.core.deprecation import deprecated, deprecations
from insignia.core.errors import DeprecatedName


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(deprecation, "_KNOWN", {})


def test_it_warns_where_it_is_called_and_does_what_it_did(known):
    @deprecated(since="1.2", until="1.4", instead="new")
    def old(value, *, times=2):
        """Say what it does."""
        return value * times

    with pytest.warns(
        DeprecatedName, match=r"old is deprecated since insignia 1\.2 and is gone in 1\.4\. Use new\."
    ) as given:
        assert old(3, times=5) == 15
    assert given[0].filename == __file__
    assert issubclass(DeprecatedName, FutureWarning), "Python hides a DeprecationWarning from those it is for"
    assert (old.__name__, old.__doc__) == ("old", "Say what it does.")
    assert [(one.since, one.until) for one in deprecations()] == [("1.2", "1.4")]


def overdue(version):
    return [one.name for one in deprecations() if Version(version) >= Version(one.until)]


def test_a_name_that_is_overdue_is_found(known):
    deprecated(since="1.2", until="1.4", instead="new")(lambda: None)
    assert [overdue(version) for version in ("1.3.9", "1.4.0.dev3")] == [[], []]
    assert len(overdue("1.4")) == len(overdue("2.0")) == 1


def test_nothing_in_the_package_is_overdue():
    """Modules that use the decorator are loaded first; the others have nothing to say."""
    root = Path(insignia.__file__).parents[1]
    for path in sorted((root / "insignia").rglob("*.py")):
        if re.search(r"^ *@deprecated\(", path.read_text(), re.MULTILINE):
            importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
    release = re.match(r"[\d.]+\d", insignia.__version__)
    assert not overdue(release[0] if release else "0")
