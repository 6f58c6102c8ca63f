process INSIGNIA_ADD {
    tag "$meta.id"
    label 'process_medium'

    conda "${moduleDir}/environment.yml"
    container "insignia"

    input:
    tuple val(meta), path(attributed, stageAs: "studies/*")
    path model

    output:
    tuple val(meta), path("${prefix}"), emit: atlas
    path "versions.yml", emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}_atlas"
    """
    export OMP_NUM_THREADS=$task.cpus INSIGNIA_THREADS=$task.cpus
    insignia atlas create $prefix --model $model
    for study in studies/*.h5ad; do
        insignia atlas add $prefix "\$study" $args
    done

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        insignia: \$(insignia --version)
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}_atlas"
    """
    mkdir $prefix
    touch $prefix/atlas.json

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        insignia: stub
    END_VERSIONS
    """
}
