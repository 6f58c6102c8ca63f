process INSIGNIA_ATTRIBUTE {
    tag "$meta.id"
    label 'process_medium'

    conda "${moduleDir}/environment.yml"
    container "insignia"

    input:
    tuple val(meta), path(cells)
    path model

    output:
    tuple val(meta), path("${prefix}.h5ad"), emit: attributed
    path "versions.yml", emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}_attributed"
    """
    export OMP_NUM_THREADS=$task.cpus INSIGNIA_THREADS=$task.cpus
    insignia attribute $cells --model $model --output ${prefix}.h5ad --lean $args

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        insignia: \$(insignia --version)
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}_attributed"
    """
    touch ${prefix}.h5ad

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        insignia: stub
    END_VERSIONS
    """
}
