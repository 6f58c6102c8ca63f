"""The text between the tables of docs/science.md."""

from typing import Final

HEAD: Final = """
# Does attribution beat expression?

The idea behind attribution is that a gene's importance to a model says more than its amount. This page asks public
studies whether that holds, against expression and against simple things made of it. Tables and verdicts are written
by `python -m benchmarks.science.page` from the results in `docs/science/*.json`.
"""
SHORT: Final = """
## In short

Each attribution is held against expression first, and then against the best score that trains no network. The
**default attribution** is what `insignia.models.train(labels=...)` and `insignia.tl.attribute` give: integrated
gradients of the cell's own embedding, from the zero cell, absolute. The **tuned attribution** ranked markers best, of
single encoders, on the tuning studies, which are not reported here: an encoder trained without labels on genes
brought to one spread, attributed for the contrast between the nearest training type and the others. **From the mean**
is the path from the mean profile instead of the zero cell, positive part, expressed genes, encoder without labels.
"Best without a network" is picked with hindsight for each question anew, out of expression, its scaled rows, z-score,
TF-IDF, expression times specificity, a linear contrast and PCA: a hard rival. *Level* is within 0.01, or within a
tenth for shares and counts.
"""
FOLLOWS: Final = """
## What follows

- **A cell or a type looked at alone**, as when an atlas is searched: attribution names markers better than expression
  does, and gives them a larger share. An encoder is not needed for ranks: expression times specificity, from the same
  labels, names markers as well, and TF-IDF comes close without any labels. For the share, paths from the mean profile
  do most.
- **Groups compared with each other**: subtracting the other group does for expression what the model does for a
  single cell, and attribution adds nothing.
- **The same type in another study or donor**: every score finds nearly all types. The default attribution sets them
  apart by the widest margin once the unit's mean is taken off, and finds the types of single cells as well as
  expression between technologies, better between donors.
- **A response that the model has not seen**: expression finds it better. Attribution still finds it; a contrast
  between cell types hardly does, for it explains a direction in which the response does not lie.
- **Noise**: attribution makes hallmark sets differ less where only technique differs, but so does expression with its
  rows scaled as those of attributions are: it is the scaling, not the model. Ranks of genes are no more stable than
  those of expression. Ribosomal and housekeeping genes lose weight by training, more on the path from the mean, most
  by TF-IDF.
- **What was tuned did not carry over.** It was best on two pairs of shallow studies, and on the reported ones it is
  no better than the default, which therefore stays as it is. A search over few studies picks what suits their depth.

The mean profile as the start of the path, with an encoder `model` and counts in `adata`:

```python
logged = np.log1p(adata.X / adata.X.sum(1) * 1e4)
ins.tl.attribute(adata, model, baseline=np.expm1(np.asarray(logged.mean(0)).ravel()), signed=True)
kept = adata.layers["attribution"].maximum(0).multiply(adata.X > 0).tocsr()
```
"""

SET_UP: Final = """
## How it was asked

- **Studies**: Kang 2018 (blood, 10x 3' v1, unstimulated cells unless said), a set of blood cells by three 10x
  chemistries, PBMC 5k (10x 3' v3, types read off surface proteins alone), head and neck tumours (full-length
  sequencing). The models are small (256-256-64) and see about a thousand cells; large pretrained models may behave
  otherwise, and were not at hand.
- **Training and scoring never share a study, or else a donor.** A score is fitted on one study, restricted to the
  genes that both measure (of more than 1,500, those that most training cells express), and then sees only the
  expression of the other. Labels of the scored study are used to measure, never to score.
- **Tuning**: three donors to two of Kang, and Kang to PBMC 68k. Nothing of these two is reported but the table of
  what was tried. Kang's unstimulated cells also train models of three reported pairs, and three of its donors, which
  one reported pair scores, were among the training cells of a tuning pair.
- **Scores**: *expression*, log1p of counts per 10,000; also with rows scaled to one sum, as attributions are.
  *z-score* and *TF-IDF*, with mean, spread and document frequency of the training study. *Expression x specificity*:
  times the gene's specificity (tau) over the training types. *Linear contrast*: times the difference between the
  nearest training type and the others, which is the attribution of a linear classifier. *PCA*: attribution of 30
  components. *From the mean*: attribution on the path from the mean profile, positive part, expressed genes. Labels
  of the training study are read by specificity, linear contrast, the encoder with labels, and the tuned attribution.
- **Spread** in brackets is the standard deviation: over pairs of studies, units, donors or seeds, as said.
"""
MARKERS: Final = """
## Known markers

Markers are ScType's lists of the types that are there, without genes that it lists for three lineages or more.
*Alone* looks at the mean score in a type and nothing else, which is what one has when a cell is searched for in an
atlas; *against* subtracts the mean over the other types. *Cells told apart* is the AUROC of the mean score of the
markers, cells of the type against all others. Numbers are means over cell types; the spread is over five pairs of
studies.
"""
PLANTED: Final = """
## Positive control: planted markers

Simulated cells with ten planted markers a type on a floor of twenty housekeeping genes, strong in all cells; half of
the cells train and the other half are scored; spread over simulations. Here is known what matters, and attribution
must find it if it works at all.
"""
TRIED: Final = """
## What was tried, and why

What theory says, and what came of it on the tuning pairs (columns as above):

- From the zero cell, the attribution of a linear model is `expression x learned weight`: it cannot be better than its
  weights, and it keeps the weight of amounts. Hence its ranks follow expression, and most of what it gains is that
  genes that tell nothing apart get weights near zero.
- The cell's own embedding as the target also rewards what all cells share. Taking the mean embedding off, or
  contrasting types, removes that.
- From the mean profile, what all cells share cancels, but **a cell is also credited with every gene that it lacks**:
  a T cell is told from a monocyte by the absence of LYZ. Over all genes, ranks of markers then fall, to chance where
  the profile is a mean of amounts; kept to expressed genes, they come back between donors of one study, and less from
  Kang to PBMC 68k.
- Keeping only positive attributions gives more share to markers and worse ranks, for genes of no clear sign all
  become zero.
- Gradients of a trained network are noisy from seed to seed; averaging three encoders removes some of it.
- Genes brought to one spread in training (`insignia.models.train(..., standardise=True)`) count alike whatever their
  amount, which helps the contrast.
"""
NOISE: Final = """
## Technical noise

Counts of the scored study are thinned to 30 and 10 %, half of the non-zeros are lost, or genes get efficiencies of
another batch (log-normal, sd 0.5, around a half). *Rank* columns are correlations before and after: of a cell's
genes, of a type's mean, of the differences between types. A score that ranks genes alike in all types would be stable
for nothing: *to other types* is the correlation with the other types' means after noise. *Artefact*: half of the
largest type's cells get the noise, and hallmark sets are asked for a difference; mean distance of their AUROC from a
half, and the same without noise. Spread over seeds (of noise and of the encoder). The files of Kang hold no
mitochondrial genes, so that their share could not be asked.
"""
TRANSFER: Final = """
## Across studies and technologies

A third study trains. Mean scores of each type in one unit are looked up among those in another; *less mean* subtracts
the mean over the unit's types first. *Cells* looks up single cells among the means of the other unit; the control
shuffles types there. One seed; spread over ordered pairs of units.
"""
INTERFERON: Final = """
## The interferon response

Kang 2018, interferon-beta. Unstimulated cells of six donors train; each type of two other donors is scored in both
conditions. *Response genes above others*: AUROC of the hallmark interferon alpha genes in the difference between
conditions. *Rank of the set* among all hallmark sets by how well their mean tells stimulated cells apart. *Two donors
alike*: rank correlation of the difference. Spread over donors and seeds. No model has seen a stimulated cell. See
also [the interferon response in real monocytes](kang.md).
"""
