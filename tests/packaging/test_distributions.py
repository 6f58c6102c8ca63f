"""The wheel and the sdist hold what they should, and one tag of git is the only place of the version."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from importlib import metadata as installed
from pathlib import Path

import pytest
import yaml
from benchmarks.install.contents import complaints
from packaging.requirements import Requirement
from packaging.version import Version

import insignia

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD = "import sys, hatchling.build as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"


def built(kind, folder, source=ROOT):
    """Build without an environment of its own, so without a network."""
    command = [sys.executable, "-c", BUILD, kind, str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return folder / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    assert complaints(wheel, ROOT) == []


def test_the_wheel_says_what_the_project_says(metadata):
    assert metadata["Name"] == "insignia"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["project"]["optional-dependencies"])
    plain = {str(found) for text in metadata.get_all("Requires-Dist") if not (found := Requirement(text)).marker}
    assert plain == {str(Requirement(text)) for text in PROJECT["project"]["dependencies"]}
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_the_sdist_is_whole_and_makes_a_wheel_of_the_same_version_without_git(metadata, tmp_path):
    sdist = built("sdist", tmp_path)
    assert complaints(sdist, ROOT) == []
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    [source] = (tmp_path / "out").iterdir()
    assert f"-{metadata['Version']}-" in built("wheel", tmp_path, source).name


def git(folder, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_version_is_the_tag_and_counts_commits_after_it(tmp_path):
    def told():
        command = [sys.executable, "-m", "hatchling", "version"]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    about = (ROOT / "pyproject.toml").read_text()
    fallback = PROJECT["tool"]["hatch"]["version"]["fallback-version"]
    (tmp_path / "pyproject.toml").write_text(about)
    assert told() == fallback
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    assert Version(told()).base_version == Version(fallback).base_version
    git(tmp_path, "tag", "v1.2.0")
    assert told() == "1.2.0"
    git(tmp_path, "commit", "--allow-empty", "-m", "second")
    assert told().startswith("1.2.1.dev1+g")


def test_the_version_stands_nowhere_else():
    assert insignia.__version__ == installed.version("insignia")
    said = subprocess.run([sys.executable, "-m", "insignia", "--version"], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == insignia.__version__
    assert "version" not in PROJECT["project"]
    assert "version" not in yaml.safe_load((ROOT / "CITATION.cff").read_text())
    fallback = re.escape(PROJECT["tool"]["hatch"]["version"]["fallback-version"].removesuffix(".dev0"))
    places = [ROOT / "docs" / "conf.py", *(ROOT / "integrations").rglob("*"), *(ROOT / "src").rglob("*.py")]
    stated = [place for place in places if place.is_file() and re.search(rf"\b{fallback}\b", place.read_text())]
    assert stated == []


def test_a_copy_that_is_not_installed_says_so(monkeypatch):
    def absent(name):
        raise installed.PackageNotFoundError(name)

    monkeypatch.setattr(installed, "version", absent)
    assert insignia.__version__
    monkeypatch.delitem(vars(insignia), "__version__")
    assert insignia.__version__ == "0+not.installed"
