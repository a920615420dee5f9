# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the lab keeps its things."""

import os


class LabError(Exception):
    """Something the user should read: what failed and what to do about it."""


def cache_root():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "passthru")


def labs_root():
    return os.environ.get("PASSTHRU_LAB_DIR") or os.path.join(cache_root(), "lab")


def source_dir():
    return os.path.dirname(os.path.abspath(__file__))
