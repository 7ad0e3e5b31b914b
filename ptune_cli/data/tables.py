"""The rows of a JSONL, CSV, TSV or Parquet file, one at a time, each with the place to blame if it is wrong."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ptune_cli.errors import UserError

Row = tuple[str, dict[str, Any]]
"""Where the row is ("train.csv, line 7"), and its fields."""


def rows(file: Path) -> Iterator[Row]:
    """Every row; of CSV and TSV, the first line names the fields. UserError for what cannot be read, with its place."""
    suffix = file.suffix.lower()
    try:
        if suffix == ".jsonl":
            yield from _jsonl(file)
        elif suffix == ".parquet":
            yield from _parquet(file)
        else:
            yield from _csv(file, "," if suffix == ".csv" else "\t")
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error


def _lines(file: Path) -> Iterator[str]:
    """The lines with their ends, so that a quoted field may go over several."""
    with open(file, "rb") as opened:
        for number, line in enumerate(opened, 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(f"{file}, line {number}: not UTF-8: {error.reason} at byte {error.start} of the line") from None


def _jsonl(file: Path) -> Iterator[Row]:
    for number, line in enumerate(_lines(file), 1):
        where = f"{file}, line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not JSON: {error}", "every line is one object") from None
        if not isinstance(row, dict):
            raise UserError(
                f"{where}: a JSON {type(row).__name__}, expected an object such as " + '{"inputs": ..., "targets": ...}'
            )
        yield where, row


def _csv(file: Path, delimiter: str) -> Iterator[Row]:
    reader, header, line = csv.reader(_lines(file), delimiter=delimiter, strict=True), None, 1
    try:
        for cells in reader:
            where, line = f"{file}, line {line}", reader.line_num + 1
            if not cells:
                continue
            if header is None:
                header = _header(cells, where)
                continue
            if len(cells) != len(header):
                hint = "quote a field that holds the delimiter or a new line"
                raise UserError(f"{where}: {len(cells)} columns, expected {len(header)} ({', '.join(header)})", hint)
            yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{file}, line {line}: {error}", 'a quote inside a quoted field is written twice, ""') from None


def _header(cells: list[str], where: str) -> list[str]:
    if "" in cells or len(set(cells)) < len(cells):
        hint = "the first line names the columns, each once"
        raise UserError(f"{where}: the columns are named {', '.join(map(repr, cells))}", hint)
    return cells


def _parquet(file: Path) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(f"reading {file} needs pyarrow: {error}", "pip install 'ptune[parquet]'") from None
    number = 0
    try:
        with ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{file}, row {number}", row
    except pyarrow.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{file} cannot be read as Parquet after row {number}: {reason}", "write the file again") from None
