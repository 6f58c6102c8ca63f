"""Snakemake wrapper of `insignia attribute`."""

from snakemake.shell import shell

snakemake = globals()["snakemake"]
extra = snakemake.params.get("extra", "")
log = snakemake.log_fmt_shell(stdout=True, stderr=True)
shell(
    "OMP_NUM_THREADS={snakemake.threads} INSIGNIA_THREADS={snakemake.threads} "
    "insignia attribute {snakemake.input.cells:q} --model {snakemake.input.model:q} --output {snakemake.output[0]:q} "
    "{extra} {log}"
)
