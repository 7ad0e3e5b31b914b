"""GLUE's raw files as its authors publish them (tab separated, quotes mean nothing), with rows written for these tests.

The file formats are those that TFDS's glue 2.0.0 reads: CoLA has a header in its test file only, MRPC is not in a zip, begins
with a byte order mark and names its validation rows in a file of their own; QQP has a row that was cut off.
"""

from raw_glue_rows import AX, CUT_OFF, ROWS
from raw_super_glue import SPLITS, zipped

URL = "https://dl.fbaipublicfiles.com/glue/data/{}.zip"
MRPC_URL = "https://dl.fbaipublicfiles.com/senteval/senteval_data/msr_paraphrase_{}.txt"
MRPC_DEV_IDS_URL = (
    "https://firebasestorage.googleapis.com/v0/b/mtl-sentence-representations.appspot.com/o/"
    "data%2Fmrpc_dev_ids.tsv?alt=media&token=ec5c0836-31d5-48f4-b431-7480817f1adc"
)
AX_URL = "https://bit.ly/2BOtOJ7"
ARCHIVES = {"cola": "CoLA", "sst2": "SST-2", "qqp": "QQP", "stsb": "STS-B", "mnli": "MNLI", "qnli": "QNLI", "rte": "RTE"}
ARCHIVES |= {"wnli": "WNLI"}
# Columns of the train file.
COLUMNS = {
    "sst2": "sentence label",
    "qqp": "id qid1 qid2 question1 question2 is_duplicate",
    "stsb": "index genre filename year old_index source1 source2 sentence1 sentence2 score",
    "mnli": "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse"
    " sentence1 sentence2 label1 gold_label",
    "qnli": "index question sentence label",
    "rte": "index sentence1 sentence2 label",
    "wnli": "index sentence1 sentence2 label",
}
FIELDS = {"cola": ("sentence",), "sst2": ("sentence",), "qqp": ("question1", "question2"), "qnli": ("question", "sentence")}
LABELS = {
    "cola": ("unacceptable", "acceptable"),
    "sst2": ("negative", "positive"),
    "mrpc": ("not_equivalent", "equivalent"),
    "qqp": ("not_duplicate", "duplicate"),
    "wnli": ("not_entailment", "entailment"),
}
MNLI = {
    "mnli": ("train", "validation_matched", "validation_mismatched", "test_matched", "test_mismatched"),
    "mnli_matched": ("validation_matched", "test_matched"),
    "mnli_mismatched": ("validation_mismatched", "test_mismatched"),
}


def files() -> dict[str, bytes]:
    """The archives and files by URL."""
    archives = {URL.format(folder.replace("QNLI", "QNLIv2")): _archive(name, folder) for name, folder in ARCHIVES.items()}
    return {**archives, AX_URL: _table("index sentence1 sentence2", [(str(i), *row) for i, row in enumerate(AX)]), **_mrpc()}


def expected(name: str) -> dict[str, list[dict]]:
    """What TFDS makes of them: labels are names, or -1; STS-B's scores are numbers."""
    if name == "ax":
        return {"test": [{"premise": one, "hypothesis": two, "label": -1} for one, two in AX]}
    if name in MNLI:
        fields = ("premise", "hypothesis")
        splits = {split: ROWS["mnli"][split] for split in MNLI[name]}
        if name != "mnli":
            splits = {split.partition("_")[0]: part for split, part in splits.items()}
    else:
        fields = FIELDS.get(name, ("sentence1", "sentence2"))
        splits = {split: ROWS[name][part] for split, part in SPLITS.items()}
    return {split: [_expected(name, fields, row) for row in part] for split, part in splits.items()}


def _expected(name: str, fields: tuple[str, ...], row: tuple) -> dict:
    *texts, label = row if len(row) > len(fields) else (*row, -1)
    if name in LABELS and label >= 0:
        label = LABELS[name][label]
    return {**dict(zip(fields, texts, strict=True)), "label": float(label) if name == "stsb" else label}


def _archive(name: str, folder: str) -> bytes:
    if name == "cola":
        return zipped({f"CoLA/{member}": text.decode() for member, text in _cola().items()})
    content = {}
    splits = ROWS["mnli"] if name == "mnli" else {split: ROWS[name][part] for split, part in SPLITS.items()}
    for split, part in splits.items():
        lines = [_line(name, split, i, row) for i, row in enumerate(part)]
        if (name, split) == ("qqp", "train"):
            lines.insert(2, CUT_OFF)
        content[f"{folder}/{split.replace('validation', 'dev')}.tsv"] = _table(_header(name, split), lines).decode()
    return zipped(content)


def _header(name: str, split: str) -> str:
    """Test files have no label; SST-2's has an index; MNLI's validation files have the labels of five people."""
    columns = COLUMNS[name].split()
    if split.startswith("test"):
        unlabelled = [column for column in columns if not _is_label(column) and not column.startswith("qid")]
        return " ".join(["index"] * (name == "sst2") + unlabelled)
    if split.startswith("validation_"):
        columns[-1:] = ["label2", "label3", "label4", "label5", "gold_label"]
    return " ".join(columns)


def _line(name: str, split: str, index: int, row: tuple) -> list[str]:
    """The row's fields under the columns that TFDS reads; the others say where they are."""
    texts = [
        field for field in _header(name, split).split() if field.startswith(("sentence", "question")) and "parse" not in field
    ]
    values = dict(zip(texts, row[: len(texts)], strict=True))
    label = str(row[-1])
    return [
        values.get(column, str(index) if column in ("index", "id") else label if _is_label(column) else f"{column} {index}")
        for column in _header(name, split).split()
    ]


def _is_label(column: str) -> bool:
    return column.startswith("label") or column in ("score", "gold_label", "is_duplicate")


def _cola() -> dict[str, bytes]:
    lines = [("src", str(row[-1]), "*" * (row[-1] == 0), row[0]) for row in ROWS["cola"][:12]]
    test = [(str(i), row[0]) for i, row in enumerate(ROWS["cola"][12:])]
    return {"train.tsv": _table("", lines[:8]), "dev.tsv": _table("", lines[8:]), "test.tsv": _table("index sentence", test)}


def _mrpc() -> dict[str, bytes]:
    """Validation rows are among those for training."""
    header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    lines = [("\t".join((str([*row, 1][2]), f"{i}1", f"{i}2", *row[:2]))) for i, row in enumerate(ROWS["mrpc"])]
    known = lines[:3] + lines[8:12] + lines[3:8]
    train, test = ("\ufeff" + "\n".join([header, *part]) + "\n" for part in (known, lines[12:]))
    ids = "".join(f"{i}1\t{i}2\n" for i in range(8, 12))
    return {MRPC_URL.format("train"): train.encode(), MRPC_URL.format("test"): test.encode(), MRPC_DEV_IDS_URL: ids.encode()}


def _table(header: str, lines: list) -> bytes:
    rows = ["\t".join(header.split())] * bool(header) + ["\t".join(line) for line in lines]
    return ("\n".join(rows) + "\n").encode()
