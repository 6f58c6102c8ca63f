"""Tables come back as they were written, and another ending is refused before anything is written."""

import pandas as pd
import pytest

from insignia.core.errors import FileFormatError
from insignia.data import write_table

TABLE = pd.DataFrame({"name": ["a", "ü, b"], "value": [1.5, -2.0]})


@pytest.mark.parametrize(
    ("name", "read"),
    [("t.csv", pd.read_csv), ("t.tsv", lambda path: pd.read_csv(path, sep="\t")), ("t.parquet", pd.read_parquet)],
)
def test_a_table_comes_back(tmp_path, name, read):
    write_table(TABLE, tmp_path / name)
    pd.testing.assert_frame_equal(read(tmp_path / name), TABLE)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"\.csv, \.tsv or \.parquet"):
        write_table(TABLE, tmp_path / "t.xlsx")
    assert list(tmp_path.iterdir()) == []
