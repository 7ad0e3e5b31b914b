"""XLA's programs, kept on disk: the second start of a command compiles nothing."""

import logging

import jax

from ptune_cli.data.prepared import default_cache


def keep_compiled() -> None:
    """Use ptune's own cache folder, unless the user has set JAX's."""
    logging.getLogger("jax._src.compilation_cache").setLevel(logging.ERROR)
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(default_cache() / "xla"))
        # All of them, not only those that take JAX's threshold of a second: a run has few small ones, which it starts with.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
