"""`python -m insignia` is the `insignia` command."""

from insignia.cli.main import run

run()
