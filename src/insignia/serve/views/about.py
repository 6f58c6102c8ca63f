"""What is answered about an atlas, and about signatures before they are searched."""

from collections.abc import Sequence

import numpy as np

from insignia.genes import GeneMatch, Signature, bundled, paste_of, signature
from insignia.serve import answers as a
from insignia.serve.predicates import facet_counts, mask
from insignia.serve.shelf import OpenAtlas
from insignia.serve.views.plain import plain

__all__ = [
    "atlas_info",
    "facets",
    "gene_sets",
    "match_report",
    "signatures",
]


def atlas_info(atlas: OpenAtlas) -> a.AtlasInfo:
    """Say what an atlas holds, but not where it lies."""
    facts = atlas.atlas.info()
    record = atlas.atlas.record
    return a.AtlasInfo(
        name=atlas.name,
        version=atlas.version,
        **{name: facts[name] for name in ("cells", "values", "studies", "genes", "organism")},
        model=record.model,
        method=record.method,
        facets=list(atlas.facets),
    )


def signatures() -> a.SignatureList:
    """List the bundled signatures."""
    known = [signature(name) for name in bundled()]
    return a.SignatureList(
        signatures=[
            a.SignatureInfo(
                name=one.name,
                genes=len(one),
                organism=one.organism,
                description=one.description,
                doi=one.doi,
                is_signed=one.is_signed,
            )
            for one in known
        ]
    )


def gene_sets(sets: Sequence[Signature]) -> a.GeneSetList:
    """List uploaded sets in the form that addresses take."""
    return a.GeneSetList(
        sets=[a.GeneSet(name=one.name, size=len(one), genes=paste_of(one), description=one.description) for one in sets]
    )


def match_report(wanted: Signature, match: GeneMatch) -> a.MatchReport:
    """Say which genes the atlas has."""
    rows = zip(plain(match.frame()), wanted.weight_array.tolist(), strict=True)
    return a.MatchReport(
        name=wanted.name,
        summary=match.summary(),
        matched=len(match.matched),
        renamed=len(match.renamed),
        ambiguous=len(match.ambiguous),
        missing=len(match.missing),
        coverage=match.coverage,
        genes=[a.GeneRow(**row, weight=weight) for row, weight in rows],
        hints=list(match.hints),
    )


def facets(atlas: OpenAtlas, filters: dict[str, tuple[str, ...]]) -> a.Facets:
    """Count cells of each value of each facet."""
    counts = facet_counts(atlas, filters)
    return a.Facets(
        cells=int(np.count_nonzero(mask(atlas, filters))),
        facets=[
            a.Facet(
                column=column,
                values=[
                    a.FacetValue(value=value, cells=cells, chosen=value in filters.get(column, ()))
                    for value, cells in sorted(values.items(), key=lambda item: (-item[1], item[0]))
                ],
            )
            for column, values in counts.items()
        ],
    )
