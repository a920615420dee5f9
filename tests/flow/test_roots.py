# SPDX-License-Identifier: LGPL-2.1-or-later
"""The copy of the tree that is built in another Debian's root (lab/roots.py)."""

import os
import shutil
import subprocess

import pytest

import roots

pytestmark = pytest.mark.only("fake", "no world is looked at")


CLONE = pytest.param("clone", marks=pytest.mark.skipif(
    not shutil.which("git"), reason="there is no git, as in such a root itself"))


@pytest.mark.parametrize("tree", ["archive", CLONE])
def test_a_changed_file_is_built_again(tmp_path, tree):
    """A checkout can bring a text that is older than what was built of another one."""
    top, root = tmp_path / "tree", tmp_path / "root"
    top.mkdir()
    if tree == "clone":
        subprocess.run(["git", "init", "-q", str(top)], check=True)
    (top / "build").mkdir()
    (top / "build" / "here").write_text("built")
    (top / ".gitignore").write_text("/build*/\n")
    (top / "kept.c").write_text("kept")
    (top / "changed.c").write_text("before")
    (top / "gone.c").write_text("gone")
    for name in ("kept.c", "changed.c"):
        os.utime(top / name, (1000, 1000))
    roots.copy_tree(str(root), str(top))
    copy = root / roots.TREE.strip("/")
    (copy / "build-test").mkdir()
    (copy / "build-test" / "object").write_text("built")
    for name in ("kept.c", "changed.c"):
        os.utime(copy / name, (2000, 2000))
    (top / "changed.c").write_text("after ")
    os.utime(top / "changed.c", (1500, 1500))
    (top / "gone.c").unlink()
    roots.copy_tree(str(root), str(top))
    assert (copy / "changed.c").read_text() == "after "
    assert (copy / "changed.c").stat().st_mtime > 2000
    assert (copy / "kept.c").stat().st_mtime == 2000
    assert not (copy / "gone.c").exists() and not (copy / "build").exists()
    assert (copy / "build-test" / "object").read_text() == "built"
