"""What to do when the genes of the data and of a model do not meet."""

from insignia.genes.match import in_capitals
from insignia.genes.names import spreadsheet_victim
from insignia.genes.vocabulary import GeneVocabulary

__all__ = ["refusal"]

_MOSTLY = 0.5


def refusal(data: GeneVocabulary, model: GeneVocabulary, found: str, min_overlap: float) -> str:
    """Say which genes met, in the words of `found`, how many are needed, and what to do."""
    needed = f", and {min_overlap:.1%} are needed" if min_overlap > 0 else ""
    return f"{found}{needed}. {_advice(data, model)}"


def _advice(data: GeneVocabulary, model: GeneVocabulary) -> str:
    has_symbols, has_ids = data.symbols.astype(bool).sum() > _MOSTLY * len(data), data.ids is not None
    if has_ids and not has_symbols and model.ids is None:
        return (
            f"They look like Ensembl IDs ({data.labels[0]!r}), and the model knows symbols; pass the column of var "
            "with symbols, gene_symbols=..., or make one from a GENCODE or HGNC table."
        )
    if has_symbols and not has_ids and not model.symbols.astype(bool).any():
        return (
            f"They look like symbols ({data.labels[0]!r}), and the model knows Ensembl IDs; pass the column of "
            "var with ids, gene_ids=..., or make one from a GENCODE or HGNC table."
        )
    lower = [str(name) for name in data.symbols if in_capitals(str(name), model)]
    if len(lower) > _MOSTLY * len(data):
        return (
            f"The symbols of the data are in lower case ({', '.join(lower[:3])}, ...), and in capitals {len(lower):,} "
            f"of {len(data):,} are there. If they are of the model's organism, write them so: "
            "adata.var_names = adata.var_names.str.upper()."
        )
    broken = [name for name in data.labels if spreadsheet_victim(str(name))]
    note = f" A spreadsheet turned names into dates, e.g. {broken[0]!r}." if broken else ""
    return (
        f"The data has {', '.join(data.labels[:3])}, ..., the model {', '.join(model.labels[:3])}, ...; check that "
        f"they name genes of one organism, and pass gene_symbols= or gene_ids= if another column of var does.{note} "
        "If the data is a small panel, lower min_overlap."
    )
