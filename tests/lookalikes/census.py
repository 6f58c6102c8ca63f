"""A CELLxGENE Census on disk in the layout of the real one, with a few datasets."""

import numpy as np
import pandas as pd
import pyarrow as pa

__all__ = ["build"]


def build(path, counts, obs, var, unmeasured):
    """Write cells of several datasets.

    `counts` is (cells, genes); `obs` has the columns of the schema; `var` has feature_id and feature_name; `unmeasured`
    names for each dataset, in the order in which the Census lists them, the places of the genes that it lacks.
    """
    import tiledbsoma as soma

    obs = obs.reset_index(drop=True)
    obs.insert(0, "soma_joinid", np.arange(len(obs)))
    var = var.reset_index(drop=True)
    var.insert(0, "soma_joinid", np.arange(len(var)))
    # the numbers of the datasets follow neither their order nor their names
    places = {name: 7 - 4 * place for place, name in enumerate(unmeasured)}
    datasets = pd.DataFrame({"soma_joinid": list(places.values()), "dataset_id": list(places)})
    with soma.Collection.create(str(path)) as root:
        info = root.add_new_collection("census_info")
        _table(soma, info, "datasets", datasets, 8)
        human = root.add_new_collection("census_data").add_new_collection("homo_sapiens", soma.Experiment)
        _table(soma, human, "obs", obs, len(obs))
        rna = human.add_new_collection("ms").add_new_collection("RNA", soma.Measurement)
        _table(soma, rna, "var", var, len(var))
        _matrix(rna.add_new_collection("X").add_new_sparse_ndarray, "raw", counts)
        present = np.zeros((8, len(var)), dtype=np.float32)
        for name, place in places.items():
            present[place] = 1
            present[place, unmeasured[name]] = 0
        _matrix(rna.add_new_sparse_ndarray, "feature_dataset_presence_matrix", present)
    return path


def _table(soma, parent, name, frame, n):
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    with parent.add_new_dataframe(name, schema=rows.schema, domain=[[0, n - 1]]) as out:
        out.write(rows)


def _matrix(add, name, values):
    with add(name, type=pa.float32(), shape=values.shape) as out:
        rows, columns = np.nonzero(values)
        out.write(
            pa.table({"soma_dim_0": rows, "soma_dim_1": columns, "soma_data": values[rows, columns].astype(np.float32)})
        )
