"""Snakemake wrapper of `insignia search`."""

from snakemake.shell import shell

snakemake = globals()["snakemake"]
atlas, extra = snakemake.params.atlas, snakemake.params.get("extra", "")
log = snakemake.log_fmt_shell(stdout=True, stderr=True)
shell("insignia search {atlas:q} {snakemake.wildcards.signature:q} --output {snakemake.output[0]:q} {extra} {log}")
