"""Prompt files and adapters of strangers: whatever is in them, it is a prompt or one line, and no code runs."""

import io
import json
import pickle
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from ptune_cli.commands import prompt_facts
from ptune_cli.commands.convert_prompt import convert_prompt
from ptune_cli.errors import UserError
from ptune_cli.formats import peft, prompt
from ptune_cli.formats.prompt import PromptFile

ARRAY = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
METADATA = {"base_model": "tiny", "step": 3, "scores": {"accuracy": 50.0}}
PICKLED = Path(__file__).parent / "oracles" / "peft" / "t5_1_1_pickled"
CONFIG = {"peft_type": "PROMPT_TUNING", "task_type": "SEQ_2_SEQ_LM", "num_virtual_tokens": 3, "num_transformer_submodules": 1}


@dataclass
class Bomb:
    path: str

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """An intact prompt and an intact adapter."""
    folder = tmp_path_factory.mktemp("good")
    prompt.write(folder / "own", PromptFile(ARRAY, METADATA))
    peft.write(folder / "adapter", ARRAY, METADATA, "tiny")
    shutil.copytree(PICKLED, folder / "pickled")
    return folder


@pytest.fixture
def adapter(good, tmp_path) -> Path:
    return Path(shutil.copytree(good / "adapter", tmp_path / "adapter"))


def error_of(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        prompt.read(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    return str(caught.value)


def npy(header: bytes, data: bytes = bytes(64)) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def safetensors(header: dict | bytes, data: bytes = bytes(64)) -> bytes:
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def tensor(shape, dtype="F32", ends=(0, 48), name="prompt") -> dict:
    return {name: {"dtype": dtype, "shape": shape, "data_offsets": list(ends)}}


NPY = {
    "a negative shape": npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -4)}"),
    "a shape beyond any memory": npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776)}"),
    "a shape that overflows to the file's": npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905, 16)}"),
    "no shape": npy(b"{'descr': '<f4', 'fortran_order': False}"),
    "a shape of words": npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': ('a', 'b')}"),
    "objects": npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (4, 4)}"),
    "records": npy(b"{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (4, 2)}"),
    "text": npy(b"{'descr': '<U4', 'fortran_order': False, 'shape': (2, 2)}"),
    "complex numbers": npy(b"{'descr': '<c8', 'fortran_order': False, 'shape': (4, 2)}"),
    "code in the header": npy(b"__import__('os').mkdir('led_astray')"),
    "a deep header": npy(b"(" * 5000 + b")" * 5000),
    "a header longer than the file": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{}",
    "an unknown version": b"\x93NUMPY\x09\x00" + bytes(100),
    "nothing behind the magic": b"\x93NUMPY",
}
SAFETENSORS = {
    "a header longer than the file": struct.pack("<Q", 2**40) + b"{}",
    "a negative header": struct.pack("<q", -1) + b"{}",
    "a negative shape": safetensors(tensor([-3, -4])),
    "a shape beyond any memory": safetensors(tensor([2**40, 2**40], ends=(0, 2**62))),
    "a shape that overflows to the file's": safetensors(tensor([2**62, 4], ends=(0, 64))),
    "offsets behind the end": safetensors(tensor([3, 4], ends=(2**50, 2**50 + 48))),
    "offsets the other way round": safetensors(tensor([3, 4], ends=(48, 0))),
    "an unknown type": safetensors(tensor([3, 4], dtype="X99")),
    "booleans": safetensors(tensor([8, 8], dtype="BOOL", ends=(0, 64))),
    "no JSON": safetensors(b"{" * 100),
    "a deep header": safetensors(b'{"prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a list": safetensors(b"[1, 2]"),
    "metadata that are no text": safetensors({"__metadata__": {"a": 1}, **tensor([4, 4], ends=(0, 64))}),
    "a pickle": pickle.dumps({"prompt": [1.0]}),
    "nothing": b"",
}


@pytest.mark.parametrize("what", NPY)
def test_a_hostile_numpy_file_is_one_line(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("prompt.npy", "encoder.prompt.prompt.prompt"):
        (tmp_path / name).write_bytes(NPY[what])
        error_of(tmp_path / name)
    assert not (tmp_path / "led_astray").exists()


@pytest.mark.parametrize("what", SAFETENSORS)
def test_a_hostile_safetensors_file_is_one_line(what, adapter):
    (adapter / peft.WEIGHTS).write_bytes(SAFETENSORS[what].replace(b'"prompt"', b'"prompt_embeddings"'))
    (adapter / "prompt.safetensors").write_bytes(SAFETENSORS[what])
    error_of(adapter / "prompt.safetensors")
    error_of(adapter)


CONFIGS = {
    "nothing": b"",
    "no JSON": b"{peft_type: PROMPT_TUNING}",
    "no object": b"[]",
    "deep": b"[" * 100_000,
    "an endless number": b'{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": ' + b"9" * 5000 + b"}",
    "no text": b"\xff\xfe\x00",
    "huge": b'{"peft_type": "' + b"A" * 2_000_000 + b'"}',
    "long values": json.dumps({**CONFIG, "peft_type": "A" * 10_000}).encode(),
    "lines in values": json.dumps({**CONFIG, "peft_type": "A\nB\x1b[31m"}).encode(),
}


@pytest.mark.parametrize("what", CONFIGS)
def test_a_hostile_configuration_is_one_line(what, adapter):
    (adapter / peft.CONFIG).write_bytes(CONFIGS[what])
    assert "\x1b" not in error_of(adapter)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_adapter_of_values_that_are_not_finite_is_refused(value, adapter):
    array = ARRAY.copy()
    array[1, 2] = value
    (adapter / peft.WEIGHTS).write_bytes(save({peft.ARRAY: array}))
    assert "infinite values or NaN" in error_of(adapter)


def test_rows_that_are_left_out_may_hold_anything(adapter):
    """PEFT never looks at them either."""
    array = np.concatenate([ARRAY, np.full_like(ARRAY, np.nan)])
    (adapter / peft.WEIGHTS).write_bytes(save({peft.ARRAY: array}))
    (adapter / peft.CONFIG).write_text(json.dumps({**CONFIG, "num_transformer_submodules": 2}))
    np.testing.assert_array_equal(prompt.read(adapter).array, ARRAY)


def test_an_adapter_whose_configuration_points_elsewhere_is_read_from_its_own_folder(adapter, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    pointing = {
        "base_model_name_or_path": "../../../etc",
        "tokenizer_name_or_path": str(elsewhere),
        "auto_mapping": {"base_model_class": "system", "parent_library": "os"},
        "revision": "refs/pr/1",
    }
    (adapter / peft.CONFIG).write_text(json.dumps({**CONFIG, **pointing}))
    found = prompt.read(adapter)
    np.testing.assert_array_equal(found.array, ARRAY)
    (adapter / peft.WEIGHTS).write_bytes(save({peft.ARRAY: ARRAY}))
    assert prompt.read(adapter).metadata == {"base_model": "../../../etc"}  # a name, which nothing opens
    convert_prompt(adapter, tmp_path / "own", "ptune", None)
    assert not elsewhere.exists() and "model" not in prompt.read(tmp_path / "own").metadata


@pytest.mark.parametrize("own", ["[1, 2]", "3", "{", '{"a": 1}', '{"step": "[[[["}', "[" * 100_000])
def test_an_adapters_header_of_another_program_is_left_alone(own, adapter):
    (adapter / peft.WEIGHTS).write_bytes(save({peft.ARRAY: ARRAY}, metadata={peft.OWN: own}))
    np.testing.assert_array_equal(prompt.read(adapter).array, ARRAY)


def test_no_pickle_is_loaded(tmp_path):
    bomb = Bomb(str(tmp_path / "loaded"))
    objects = np.empty((1, 1), object)
    objects[0, 0] = bomb
    file = io.BytesIO()
    np.save(file, objects, allow_pickle=True)
    (tmp_path / peft.CONFIG).write_text(json.dumps(CONFIG))
    for name in ("prompt.npy", "prompt.safetensors", peft.WEIGHTS, peft.PICKLED):
        for data in (file.getvalue(), pickle.dumps(bomb)):
            (tmp_path / name).write_bytes(data)
            error_of(tmp_path / name)
            error_of(tmp_path)
    assert not (tmp_path / "loaded").exists()


def test_what_a_strangers_file_says_does_not_move_the_cursor(tmp_path, ptune, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = {
        "task": "a\x1b[2Jb",
        "base_model": "c\x1b]0;d\x07\re",
        "recipe": "f\x1b[31m\ng",
        "made": {"by": "h", "of": 3},
        "i": "\x1b",
    }
    prompt.write("own", PromptFile(ARRAY, {**said, "scores": ["j"], "base_fingerprint": "[red]k"}))
    np.save("other.npy", ARRAY + 1)
    for command in (("ls",), ("show", "own"), ("diff", "own", "other.npy")):
        code, out, errors = ptune("prompts", *command)
        assert (code, errors) == (0, "") and not {"\x1b", "\x07", "\r"} & set(out)
        assert "[red]k" in out


@pytest.mark.parametrize(
    "metadata", [{"scores": 3}, {"seed": [1]}, {"step": {"a": 1}}, {"made": [1]}, {"recipe": 5}, {"length": "x"}]
)
def test_metadata_of_other_types_are_shown_as_they_are(metadata, tmp_path, ptune):
    prompt.write(tmp_path / "own", PromptFile(ARRAY, metadata))
    for command in (("ls", tmp_path), ("show", tmp_path / "own")):
        assert ptune("prompts", *command)[0] == 0


def test_a_link_to_itself_is_not_followed_for_ever(tmp_path):
    (tmp_path / "again").symlink_to(tmp_path)
    np.save(tmp_path / "bare.npy", ARRAY)
    assert [Path(row["path"]).name for row in prompt_facts.listed([tmp_path])] == ["bare.npy"]


FILES = (
    "own/prompt.npy",
    "own/prompt.safetensors",
    f"adapter/{peft.WEIGHTS}",
    f"adapter/{peft.CONFIG}",
    f"pickled/{peft.PICKLED}",
)
CHANGES = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=6)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, end=st.integers(0, 2**16), extra=st.binary(max_size=8))
def test_mutated_bytes_are_a_prompt_or_one_line(name, changes, end, extra, good, tmp_path):
    folder = tmp_path / Path(name).parent
    if not folder.exists():
        shutil.copytree(good / folder.name, folder)
    data = bytearray((good / name).read_bytes())
    for place, value in changes:
        data[place % min(len(data), 400)] = value  # the headers
    (tmp_path / name).write_bytes(data[: end % (2 * len(data))] + extra)
    path = folder if folder.name != "own" else tmp_path / name
    try:
        found = prompt.read(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert found.array.ndim == 2 and found.array.dtype == np.float32 and np.isfinite(found.array).all()
