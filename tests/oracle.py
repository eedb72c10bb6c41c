"""JAX in float64, to compare with. Without it, the tests that import this are skipped, or fail."""

import os

import pytest

try:
    import jax
except ImportError:
    if os.environ.get("TINYGRAD_EDU_ORACLE") == "required":
        raise
    pytest.skip("JAX is not installed", allow_module_level=True)

jax.config.update("jax_enable_x64", True)
