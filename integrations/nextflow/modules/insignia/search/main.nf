process INSIGNIA_SEARCH {
    tag "$meta.id"
    label 'process_low'

    conda "${moduleDir}/environment.yml"
    container "insignia"

    input:
    tuple val(meta), path(atlas), val(signature)

    output:
    tuple val(meta), path("${prefix}.html"), emit: report
    tuple val(meta), path("${prefix}.csv"), emit: samples
    path "versions.yml", emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}_search"
    """
    export OMP_NUM_THREADS=$task.cpus INSIGNIA_THREADS=$task.cpus
    insignia search $atlas '$signature' --output ${prefix}.html --table ${prefix}.csv $args

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        insignia: \$(insignia --version)
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}_search"
    """
    touch ${prefix}.html ${prefix}.csv

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        insignia: stub
    END_VERSIONS
    """
}
