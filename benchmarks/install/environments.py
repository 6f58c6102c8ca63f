"""Empty environments, and small ones laid over them, so that the large packages are installed once."""

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Environment"]

TORCH = "torch==2.13.0"
"""The release that constraints name: a plain range may take a CUDA build of gigabytes."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Parameters
    ----------
    folder
        Where it is.
    """

    folder: Path

    @classmethod
    def empty(cls, folder: Path) -> "Environment":
        """Make one that holds pip alone."""
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        return cls(folder)

    def over(self, folder: Path) -> "Environment":
        """Make one that also sees what this one holds; what it installs itself comes first, and stays its own."""
        upper = Environment.empty(folder)
        (upper.packages / "below.pth").write_text(f"{self.packages}\n")
        return upper

    @property
    def packages(self) -> Path:
        """Where its packages are."""
        home = str(self.folder)
        return Path(sysconfig.get_path("purelib", "venv", vars={"base": home, "platbase": home}))

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def install(self, *packages: str) -> str:
        """Install packages; the end of what pip said if that failed, and nothing if it did not."""
        done = self.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("ERROR")]
        return "" if done.returncode == 0 else (said or ["ERROR: pip failed and said nothing"])[-1]

    def run(self, *arguments: str, cwd: Path | None = None, path: Path | None = None) -> subprocess.CompletedProcess:
        """Run its Python, in `cwd`, with `path` as the only addition to where modules are looked for."""
        inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        more = {} if path is None else {"PYTHONPATH": str(path)}
        command = [str(self.python), *arguments]
        return subprocess.run(
            command, cwd=cwd or self.folder, env=inherited | more, capture_output=True, text=True, check=False
        )
