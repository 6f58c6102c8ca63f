"""Snakemake wrapper of `insignia atlas create` and `insignia atlas add`."""

from pathlib import Path

from snakemake.shell import shell

snakemake = globals()["snakemake"]
atlas, mapping = snakemake.params.atlas, snakemake.params.get("mapping", "")
options = f"--mapping {mapping}" if mapping else ""
log = snakemake.log_fmt_shell(stdout=True, stderr=True, append=True)
if not (Path(atlas) / "atlas.json").exists():
    shell("insignia atlas create {atlas:q} --model {snakemake.input.model:q} {log}")
for cells in snakemake.input.cells:  # noqa: B007 - shell reads it
    shell("insignia atlas add {atlas:q} {cells:q} {options} {log}")
