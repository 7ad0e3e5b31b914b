"""A vocabulary is found in a local file, in a Hugging Face folder, or in a bucket, and a missing one comes with the remedies."""

import shutil
from pathlib import Path

import pytest
from processes import python

from ptune_cli.base_model import BaseModel
from ptune_cli.errors import UserError
from ptune_cli.formats.vocabulary_file import T5, find

TINY = Path(__file__).parent / "data" / "tiny.spiece.model"

# TensorStore's own gcs driver against one object on a loopback port: the sockets of the tests' own process are blocked.
BUCKET = """
    import os, sys, threading
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from pathlib import Path

    content, asked = Path(sys.argv[1]).read_bytes(), []

    class Bucket(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            found = self.path.startswith("/storage/v1/b/t5-data/o/vocabs%2Fcc_all.32000.100extra%2Fsentencepiece.model?")
            body = content if found else b"{}"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Goog-Generation", "1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {"TENSORSTORE_GCS_HTTP_URL": f"http://127.0.0.1:{server.server_port}", "no_proxy": "127.0.0.1"}

    from ptune_cli.errors import UserError
    from ptune_cli.formats.vocabulary_file import T5, find

    for place in (T5, T5, T5 + ".missing"):
        try:
            print(find(place, Path(sys.argv[2])).read_bytes() == content, len(asked))
        except UserError as error:
            print(error)
"""


def test_a_file_and_a_folder_are_found(tmp_path):
    assert find(str(TINY), tmp_path) == TINY
    for name in ("spiece.model", "sentencepiece.model"):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(TINY, folder / name)
        assert find(str(folder), tmp_path) == folder / name


def test_a_bucket_is_read_once(tmp_path):
    out, errors = python(BUCKET, TINY, tmp_path).communicate(timeout=60)
    assert out.splitlines()[:2] == ["True 1", "True 1"], errors
    assert out.splitlines()[2].startswith(f"no vocabulary at {T5}.missing; set the model's vocabulary to")


@pytest.mark.parametrize("place", ["nowhere.model", "."])
def test_a_missing_vocabulary_comes_with_the_three_remedies(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        BaseModel(checkpoint="tiny", vocabulary=place).load_vocabulary()
    assert str(caught.value) == (
        f"no vocabulary at {place}; set the model's vocabulary to a SentencePiece file such as T5's spiece.model, "
        f"a Hugging Face folder that has one, or {T5}"
    )


def test_the_same_vocabulary_elsewhere_is_the_same(tmp_path):
    """By content: a prompt, or a prepared task, does not care where the file lies."""
    shutil.copy(TINY, tmp_path / "copy.model")
    one, other = (BaseModel(checkpoint="tiny", vocabulary=str(place)) for place in (TINY, tmp_path / "copy.model"))
    assert one.load_vocabulary().sha256 == other.load_vocabulary().sha256
