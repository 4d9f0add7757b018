"""Suites by which a platform or a storage engine of another package proves itself; ours are held by the same ones."""

import pytest

pytest.register_assert_rewrite("orchestrator.testing.platform_suite", "orchestrator.testing.engine_suite")
