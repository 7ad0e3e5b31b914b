"""Puts the tests' raw files where TFDS looks before it downloads, so that its own builders prepare them without a network.

TFDS keeps what it downloaded under a name made of the URL and the checksum that it has on record, with an .INFO file beside it
(tensorflow_datasets/core/download/resource.py, 4.9.10). It trusts that name: what is in the file is not hashed again.
"""

import hashlib
from pathlib import Path

import raw_glue
import raw_qa
import raw_super_glue


def seed(data_dir: Path) -> None:
    """Fills `data_dir`/downloads for super_glue, glue, squad/v1.1, mrqa/{news_qa,bio_asq} and definite_pronoun_resolution."""
    for dataset, files in {
        "super_glue": raw_super_glue.files(),
        "glue": raw_glue.files(),
        "squad": raw_qa.squad_files(),
        "mrqa": raw_qa.mrqa_files(),
        "definite_pronoun_resolution": raw_qa.dpr_files(),
    }.items():
        folder = data_dir / "downloads" / dataset
        folder.mkdir(parents=True, exist_ok=True)
        for url, content in files.items():
            _place(folder, dataset, url, content)


def _place(folder: Path, dataset: str, url: str, content: bytes) -> None:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums, resource

    recorded = (tfds.builder_cls(dataset).url_infos or {}).get(url)
    name = raw_qa.BIO_ASQ_FILE if url == raw_qa.BIO_ASQ_URL else url.rpartition("/")[2]
    # MRQA has none on record; it is then found by its URL alone.
    info = recorded or checksums.UrlInfo(size=len(content), checksum=hashlib.sha256(content).hexdigest(), filename=name)
    path = folder / resource.get_dl_fname(url, recorded and recorded.checksum)
    path.write_bytes(content)
    resource.write_info_file(url, path, dataset, info.filename, info)
