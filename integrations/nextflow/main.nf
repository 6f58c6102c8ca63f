#!/usr/bin/env nextflow
// Attribute every study of a folder, add them to one atlas, and search it for signatures.
nextflow.enable.dsl = 2

include { INSIGNIA_ATTRIBUTE } from './modules/insignia/attribute/main'
include { INSIGNIA_ADD       } from './modules/insignia/add/main'
include { INSIGNIA_SEARCH    } from './modules/insignia/search/main'

params.cells      = 'studies/*.h5ad'
params.model      = 'model'
params.signatures = 'MS1'
params.outdir     = 'results'

workflow {
    model   = file(params.model)
    studies = Channel.fromPath(params.cells).map { cells -> [[id: cells.baseName], cells] }

    INSIGNIA_ATTRIBUTE(studies, model)
    attributed = INSIGNIA_ATTRIBUTE.out.attributed.map { meta, cells -> cells }.collect()

    INSIGNIA_ADD(attributed.map { cells -> [[id: 'all'], cells] }, model)
    signatures = Channel.of(params.signatures.tokenize(' ')).flatten()
    INSIGNIA_SEARCH(
        INSIGNIA_ADD.out.atlas.combine(signatures).map { meta, atlas, signature -> [[id: signature], atlas, signature] }
    )
}
