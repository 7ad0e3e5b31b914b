"""What every test runs under: the CPU, no network, a cache of its own.

Set before anything imports JAX, and inherited by the processes that tests start: pytest-socket guards this process, proxies
that lead nowhere guard those.
"""

import os

import pytest

os.environ.update(
    JAX_PLATFORMS="cpu",
    # Most of the tests' time is compiling. The first nearly halves it; the second takes 15 to 40% of what is left.
    XLA_FLAGS="--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
    JAX_NUMPY_RANK_PROMOTION="raise",  # [P, D] against [B, P, D] is the mistake most easily made here
    http_proxy="http://",  # a proxy without a host is refused at once; where nobody listens, TFDS tries for 207 seconds
    https_proxy="http://",
    no_proxy="",
    COLUMNS="100",  # what is printed does not depend on the terminal
)


# The files that take longest, which come first: no process of several is to be left alone with one of them at the end.
LONGEST = (
    *("test_slurm", "test_sharding", "test_processes", "test_launch", "test_benchmarks"),
    *("test_submission", "test_packaging", "test_plan", "test_compilations", "test_tasks_end_to_end"),
    *("test_transfer", "test_sweep", "test_sweep_banks", "test_resume", "test_accelerator_benchmark"),
    *("test_train", "test_pretrain", "test_methods", "test_multi_task", "test_mixed_inference"),
)


def pytest_collection_modifyitems(items):
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """The folder that PTUNE_CACHE names: empty when the tests start, shared by them and by the processes that run them."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PTUNE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def model(cache, tmp_path_factory):
    """The folder of a tiny T5 with random weights, for whose vocabulary the task of kinds.py is prepared."""
    import model_folder

    from ptune_cli.data.preparation import ensure
    from ptune_cli.data.vocabulary import Vocabulary

    folder = model_folder.write(tmp_path_factory.mktemp("model"))
    splits = [(model_folder.TASK, split) for split in ("train", "validation", "test")]
    ensure(splits, Vocabulary(folder / "spiece.model"), progress=lambda *_: None)
    return folder


@pytest.fixture
def ptune(capsys):
    """Runs a command line in this process; returns exit code, standard output, standard error."""
    from ptune_cli import cli

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope="session")
def bank(model, tmp_path_factory):
    """A finished run of four prompts: two seeds of two lengths. Tests read it and leave it as it is."""
    import model_folder

    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("bank") / "run"
    assert cli.main(model_folder.train(model, folder, "--seeds", "0,1", "--prompt_lengths", "3,5", "--test_split", "test")) == 0
    return folder


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A TFDS folder with raw downloads and nothing prepared."""
    import tfds_seed

    folder = tmp_path_factory.mktemp("tfds")
    tfds_seed.seed(folder)
    return folder


@pytest.fixture(scope="session")
def prepared_tasks(cache, data_dir):
    """{(task, split): its prepared split} of the tasks of tfds_run.py."""
    import tfds_run

    return tfds_run.prepare(data_dir)


@pytest.fixture(scope="session")
def tasks_run(prepared_tasks, tmp_path_factory):
    """A finished run of one prompt for each of these tasks, together in one bank. Tests read it and leave it as it is."""
    import tfds_run

    return tfds_run.train(tmp_path_factory.mktemp("tasks"))


@pytest.fixture
def x64():
    """Float64, where equality is claimed."""
    import jax  # not above: what is set at the top comes first

    with jax.enable_x64(True):
        yield
