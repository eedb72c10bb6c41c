"""JAX in float64, to compare with. Without it, the tests that import this are skipped."""

import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")
jax.config.update("jax_enable_x64", True)
