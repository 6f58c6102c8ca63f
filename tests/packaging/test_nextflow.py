"""The shell programs of the Nextflow modules, run as Nextflow would: they make the files that the modules promise.

Nextflow itself cannot be installed from a package index, so what it does with a process is done here: variables are put
in, the program is run in a folder of its own, and each declared output is looked for.
"""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml
from tests.packaging.pipelines import REAL, STAND_IN, calls, command, studies

MODULES = Path(__file__).parents[2] / "integrations" / "nextflow" / "modules" / "insignia"
IDS = {"attribute": "study1", "add": "blood", "search": "MS1"}


class Process:
    """One process of Nextflow."""

    def __init__(self, name, **inputs):
        self.text = (MODULES / name / "main.nf").read_text()
        suffix = re.search(r'prefix = task\.ext\.prefix \?: "\$\{meta\.id\}(\w+)"', self.text)[1]
        self.name = re.search(r"^process (\w+)", self.text, re.MULTILINE)[1]
        self.known = {"prefix": IDS[name] + suffix, "args": "", "task.cpus": "1", "task.process": self.name, **inputs}

    def program(self, block):
        """Text of the block with its variables put in; a name that the process does not have is a KeyError."""
        body = textwrap.dedent(re.search(rf'{block}:\n.*?"""\n(.*?)"""', self.text, re.DOTALL)[1])
        put = re.sub(r"(?<!\\)\$(?:\{([\w.]+)\}|([\w.]*\w))", lambda found: self.known[found[1] or found[2]], body)
        return put.replace(r"\$", "$")

    def outputs(self):
        """Names of the files that are promised, by the name of the channel."""
        paths = re.findall(r'path\(?\s*"([^"]+)"\)?, emit: (\w+)', self.text)
        return {channel: path.replace("${prefix}", self.known["prefix"]) for path, channel in paths}

    def run(self, block, folder, environment):
        """Run the program in a folder; return what it made, by channel."""
        subprocess.run(["bash", "-euo", "pipefail", "-c", self.program(block)], cwd=folder, env=environment, check=True)
        made = {channel: folder / path for channel, path in self.outputs().items()}
        assert [str(path) for path in made.values() if not path.exists()] == []
        [versions] = yaml.safe_load(made["versions"].read_text()).items()
        assert versions[0] == self.name
        return made, versions[1]["insignia"]


def processes():
    return {
        "attribute": Process("attribute", cells="a.h5ad", model="model"),
        "add": Process("add", model="model"),
        "search": Process("search", atlas="atlas", signature="MS1"),
    }


@pytest.mark.parametrize("name", IDS)
def test_a_module_has_what_the_layout_of_nf_core_asks_for(name):
    folder = MODULES / name
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"main.nf", "meta.yml", "environment.yml", "tests/main.nf.test"}
    about = yaml.safe_load((folder / "meta.yml").read_text())
    process = processes()[name]
    assert about["name"] == process.name.lower()
    assert set(about["output"]) == set(process.outputs())
    declared = [set(channel) if isinstance(channel, dict) else {key for part in channel for key in part}
                for channel in about["input"]]  # fmt: skip
    block = re.search(r"input:\n(.*?)\n\n", process.text, re.DOTALL)[1]
    assert declared == [set(re.findall(r"(?:val|path)[( ](\w+)", line)) for line in block.splitlines()]
    tested = (folder / "tests" / "main.nf.test").read_text()
    assert f'process "{process.name}"' in tested
    for channel, path in process.outputs().items():
        assert f"process.out.{channel}[0]" in tested
        assert f"== '{path}'" in tested


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("block", ["stub", "script"])
def test_the_program_of_a_module_makes_what_it_promises(name, block, tmp_path):
    environment = command(tmp_path / "bin", STAND_IN)
    work = tmp_path / "work"
    (work / "studies").mkdir(parents=True)
    for study in ("a", "b"):
        (work / "studies" / f"{study}.h5ad").touch()
    _, version = processes()[name].run(block, work, environment)
    assert version == {"stub": "stub", "script": "1.2.3"}[block]
    if block == "stub":
        assert not Path(environment["CALLS"]).exists(), "a stub does no work"
    else:
        assert (
            calls(environment)
            == {
                "attribute": ["attribute a.h5ad --model model --output study1_attributed.h5ad --lean"],
                "add": [
                    "atlas create blood_atlas --model model",
                    "atlas add blood_atlas studies/a.h5ad",
                    "atlas add blood_atlas studies/b.h5ad",
                ],
                "search": ["search atlas MS1 --output MS1_search.html --table MS1_search.csv"],
            }[name]
        )


def test_a_program_that_makes_something_else_is_seen(tmp_path):
    process = processes()["search"]
    process.text = process.text.replace("--table ${prefix}.csv", "--table ${prefix}.tsv")
    with pytest.raises(AssertionError, match=r"MS1_search\.csv"):
        process.run("script", tmp_path, command(tmp_path / "bin", STAND_IN))


@pytest.mark.full
def test_the_three_modules_one_after_the_other(tmp_path):
    environment = command(tmp_path / "bin", REAL)
    studies(tmp_path)
    work = tmp_path / "work"
    (work / "studies").mkdir(parents=True)
    shutil.copytree(tmp_path / "model", work / "model")
    for number, cells in enumerate(sorted((tmp_path / "studies").iterdir())):
        shutil.copy(cells, work / cells.name)
        made, _ = Process("attribute", cells=cells.name, model="model").run("script", work, environment)
        made["attributed"].rename(work / "studies" / f"{number}.h5ad")
    atlas = Process("add", model="model").run("script", work, environment)[0]["atlas"]
    found, _ = Process("search", atlas=atlas.name, signature="MS1").run("script", work, environment)
    assert "MS1" in found["report"].read_text()
    assert len(found["samples"].read_text().splitlines()) > 1
