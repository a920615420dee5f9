# SPDX-License-Identifier: LGPL-2.1-or-later
"""Both suites run twice: on the optimized build, where time and memory are bounded, and on the sanitized one, for no
report. HOSTILE names the builds, "build build-test" by default."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from arena import Arena                                             # noqa: E402


@pytest.fixture(scope="module", params=os.environ.get("HOSTILE", "build build-test").split())
def arena(request):
    """One daemon for all of a module: what one attack leaves behind, the next one would meet."""
    arena = Arena(request.param)
    arena.create("good")
    arena.baseline = arena.descriptors()
    yield arena
    arena.tell()
    arena.close()
