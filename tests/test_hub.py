"""hf://ORG/NAME is downloaded by the real library, from a Hub of the tests' own on a loopback port or from its cache."""

import json
import shutil
import sys
from pathlib import Path

import model_folder
import pytest
from processes import python

from ptune_cli.base_model import BaseModel
from ptune_cli.errors import UserError
from ptune_cli.formats import hub
from ptune_cli.model_facts import facts

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# Answers as the Hub's own programs do: the commit of a revision, the files of a commit, and what is in each. Every folder of the
# given one is a repository, but that "gated" and "private" say so.
HUB = """
    import hashlib, json, os, sys, threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from pathlib import Path
    from urllib.parse import unquote

    root, commit, asked = Path(sys.argv[1]), sys.argv[2], []

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, code, body=b"", **headers):
            self.send_response(code)
            for name, value in {"Content-Length": len(body), **headers}.items():
                self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self):
            api, _, path = unquote(self.path.split("?")[0]).partition("/api/models/")
            name, kind, rest = (path if not api else api[1:]).split("/", 3)[1:] if path or api else ("", "", "")
            folder = root / name
            if not folder.is_dir():
                return self.answer(401, X_Error_Code="RepoNotFound")
            if name == "gated" and not path:
                return self.answer(403, X_Error_Code="GatedRepo")
            if path and kind == "revision":
                if rest not in ("main", "v1", commit):
                    return self.answer(404, X_Error_Code="RevisionNotFound")
                return self.json({"id": f"org/{name}", "sha": commit, "siblings": []})
            if path and kind == "tree":
                files = sorted(folder.iterdir())
                return self.json([{"type": "file", "path": f.name, "size": f.stat().st_size, "oid": self.mark(f)} for f in files])
            file = folder / rest.split("/", 1)[1]
            if self.command == "GET":
                asked.append(file.name)
            self.answer(200, file.read_bytes(), ETag=f'"{self.mark(file)}"', X_Repo_Commit=commit)

        do_HEAD = do_GET

        def json(self, value):
            self.answer(200, json.dumps(value).encode(), Content_Type="application/json")

        def mark(self, file):
            return hashlib.sha1(file.read_bytes()).hexdigest()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("http_proxy", "https_proxy"):
        os.environ.pop(name, None)
    os.environ |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
"""
LOCATE = """
    from ptune_cli.errors import UserError
    from ptune_cli.formats import hub

    def found(place, weights):
        try:
            return sorted(os.listdir(hub.locate(place, weights)))
        except UserError as error:
            return str(error)

    for place, weights in json.loads(sys.argv[3]):
        asked.clear()
        files = found(place, weights)
        print(json.dumps([files, sorted(asked)]))
"""
OFFLINE = "    import json, os, sys\n    asked = []\n" + LOCATE

FACTS = "import json, sys; from ptune_cli.model_facts import facts; print(json.dumps(facts(sys.argv[1])))"


def locate(code: str, tmp_path: Path, monkeypatch, *places: tuple[str, bool]) -> list:
    """For each (place, with weights): the files in its folder, or the error; and which were downloaded for it."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    out, errors = python(code, tmp_path / "hub", COMMIT, json.dumps(places)).communicate(timeout=120)
    assert len(out.splitlines()) == len(places), errors
    return [json.loads(line) for line in out.splitlines()]


def repository(tmp_path: Path, name: str, *files: str) -> None:
    folder = tmp_path / "hub" / name
    folder.mkdir(parents=True)
    for file in ("README.md", "flax_model.msgpack", "config.json", "generation_config.json", *files):
        (folder / file).write_text(json.dumps({"of": f"{name}/{file}", "weight_map": {"a": "one", "b": "two"}}))


def test_what_is_needed_is_downloaded_and_nothing_else(tmp_path, monkeypatch):
    repository(tmp_path, "both", "model.safetensors", "pytorch_model.bin", "spiece.model", "tokenizer.json")
    repository(tmp_path, "sharded", "model.safetensors.index.json", "one", "two", "pytorch_model.bin", "tokenizer.json")
    repository(tmp_path, "torch", "pytorch_model.bin", "spiece.model", "tokenizer.json")
    repository(tmp_path, "gated", "model.safetensors")
    repository(tmp_path, "empty")
    places = [
        *(("hf://org/both", False), ("hf://org/both@v1", True), ("hf://org/both@v1", True)),
        *(("hf://org/sharded", True), ("hf://org/torch", True), ("hf://org/gated", False), ("hf://org/none", False)),
        *(("hf://org/both@v2", False), ("hf://org/empty", True), ("hf://org/both/more", False)),
    ]
    small, later, again, sharded, torch, gated, none, revision, empty, malformed = locate(
        HUB + LOCATE, tmp_path, monkeypatch, *places
    )
    assert small == [["config.json", "spiece.model"], ["config.json", "spiece.model"]]
    assert later == [["config.json", "model.safetensors", "spiece.model"], ["model.safetensors"]] and again == [later[0], []]
    assert sharded[1] == ["config.json", "model.safetensors.index.json", "one", "tokenizer.json", "two"]
    assert torch[1] == ["config.json", "pytorch_model.bin", "spiece.model"]
    assert gated[0].startswith("hf://org/gated is gated; accept its terms")
    assert none[0].startswith("hf://org/none is not on the Hub, or private; check the name")
    assert revision[0].startswith("hf://org/both@v2 has no such revision")
    assert empty[0].startswith("hf://org/empty has no model.safetensors and no pytorch_model.bin")
    assert malformed[0].startswith("no model 'hf://org/both/more'; expected hf://ORG/NAME")
    assert all("\n" not in error for error, _ in (gated, none, revision, empty, malformed))


def test_a_model_in_the_cache_is_found_without_a_network(tmp_path, monkeypatch):
    """The cache as the library lays it out: a commit under a name, a folder under the commit, links to the files' content."""
    place = tmp_path / "cache" / "hub" / "models--org--name"
    model = model_folder.write(tmp_path / "model")
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    (place / "blobs").mkdir()
    (place / "snapshots" / COMMIT).mkdir(parents=True)
    for number, file in enumerate(model.iterdir()):
        shutil.copy(file, place / "blobs" / str(number))
        (place / "snapshots" / COMMIT / file.name).symlink_to(f"../../blobs/{number}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    whole, other = locate(OFFLINE, tmp_path, monkeypatch, ("hf://org/name", True), ("hf://org/other", False))
    assert whole[0] == ["config.json", "model.safetensors", "spiece.model"]
    told, errors = python(FACTS, "hf://org/name").communicate(timeout=60)
    assert json.loads(told or "null") == {
        **facts(str(model)),
        "name": "hf://org/name",
        "folder": str(place / "snapshots" / COMMIT),
    }, errors
    assert other[0].startswith("hf://org/other is not in the cache, and the Hub cannot be reached; run once with a network")


def test_without_the_library_it_is_told_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"hf://org/name needs the library huggingface_hub.*pip install 'ptune\[hub\]'"):
        BaseModel(checkpoint="hf://org/name").load_vocabulary()
    assert hub.locate(str(model_folder.write(tmp_path))) == str(tmp_path)  # a folder never does
