"""What every test runs under: the CPU, no network, a cache of its own.

Set before anything imports JAX, and inherited by the processes that tests start: pytest-socket guards this process, proxies
that lead nowhere guard those.
"""

import os

import pytest

os.environ.update(
    JAX_PLATFORMS="cpu",
    JAX_NUMPY_RANK_PROMOTION="raise",  # [P, D] against [B, P, D] is the mistake most easily made here
    http_proxy="http://127.0.0.1:9",
    https_proxy="http://127.0.0.1:9",
    no_proxy="",
    COLUMNS="100",  # what is printed does not depend on the terminal
)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """The folder that PTUNE_CACHE names: empty when the tests start, shared by them."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PTUNE_CACHE", str(folder))
        yield folder
