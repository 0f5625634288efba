#!/usr/bin/env python3
"""Writes `parquet/WRITER-FORM.parquet`: one table of features as other programs write it, in the forms in which they differ.

    venv/bin/python tests/golden/parquet.py

Row i of 7 has the id "photos/KIND/ü i.jpg", the label KIND ("cat" or "dog" in turn) or its number, and the features (i * 4 + k) / 8 for k from 0 to
3. In `pyarrow-error` the last row has an `error`, and neither label nor features. `refused-*` are compressed as is not read.
"""
import pathlib

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).resolve().parent / "parquet"
ROWS, WIDTH = 7, 4
KINDS = [("cat", "dog")[i % 2] for i in range(ROWS)]
IDS = [f"photos/{kind}/ü {i}.jpg" for i, kind in enumerate(KINDS)]
FEATURES = (np.arange(ROWS * WIDTH, dtype=np.float32) / 8).reshape(ROWS, WIDTH)


def table(labels=KINDS, features=None, **more):
    """Columns in another order than ours, with others between them."""
    nested = pa.array([[{"a": i, "b": ["x", None]}] for i in range(ROWS)])
    features = features if features is not None else pa.array(list(FEATURES))
    return pa.table({"nested": nested, "features": features, "label": pa.array(labels), "id": pa.array(IDS), **more})


def write(name, data=None, **options):
    pq.write_table(data if data is not None else table(), HERE / f"{name}.parquet", row_group_size=3, **options)


def main():
    HERE.mkdir(exist_ok=True)
    for old in HERE.glob("*.parquet"):
        old.unlink()
    numbers = [i % 2 for i in range(ROWS)]
    write("pyarrow-default")
    write("pyarrow-first", version="1.0", data_page_version="1.0", use_dictionary=False, compression="none")
    write("pyarrow-second", table(numbers), version="2.6", data_page_version="2.0", write_page_index=True)
    write("pyarrow-fixed", table(features=pa.FixedSizeListArray.from_arrays(pa.array(FEATURES.ravel()), WIDTH)))
    write("pyarrow-large", table(features=pa.LargeListArray.from_arrays(np.arange(0, ROWS * WIDTH + 1, WIDTH), pa.array(FEATURES.ravel()))))
    write("pyarrow-double", table(features=pa.array(list(FEATURES.astype(np.float64)))))
    write("pyarrow-categories", table(pa.array(KINDS).dictionary_encode()))
    write("pyarrow-names", use_compliant_nested_type=False)
    encodings = {"id": "DELTA_BYTE_ARRAY", "label": "DELTA_LENGTH_BYTE_ARRAY", "features.list.element": "BYTE_STREAM_SPLIT"}
    write("pyarrow-delta", use_dictionary=False, column_encoding=encodings)
    encodings = {"id": "DELTA_LENGTH_BYTE_ARRAY", "label": "DELTA_BINARY_PACKED"}
    write("pyarrow-delta-numbers", table(numbers), use_dictionary=False, column_encoding=encodings)
    write("pyarrow-checksums", write_page_checksum=True)
    labels = KINDS[:-1] + [None]
    features = pa.array([*FEATURES[:-1], None])
    write("pyarrow-error", table(labels, features, error=pa.array([None] * (ROWS - 1) + ["cut"])))
    write("refused-zstd", compression="zstd")
    write("refused-gzip", compression="gzip")
    frame = polars.from_arrow(table().drop(["nested"]))
    frame.write_parquet(HERE / "polars-snappy.parquet", compression="snappy", row_group_size=3)
    array = frame.with_columns(polars.col("features").list.to_array(WIDTH))
    array.write_parquet(HERE / "polars-array.parquet", compression="uncompressed")
    data = table()  # noqa: F841 DuckDB finds it by its name.
    for version in "V1", "V2":
        duckdb.sql(f"copy data to '{HERE}/duckdb-{version}.parquet' (format parquet, parquet_version {version})")
    print(f"{len(list(HERE.glob('*.parquet')))} files, {sum(path.stat().st_size for path in HERE.glob('*.parquet'))} bytes")


if __name__ == "__main__":
    main()
