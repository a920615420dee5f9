"""The guests that run inside the lab: built once, kept in the cache by content."""

import hashlib
import os
import shutil
import subprocess

from paths import LabError, cache_root, source_dir


def _digest(directory):
    h = hashlib.sha256()
    for root, dirs, files in os.walk(directory):
        dirs.sort()
        for name in sorted(files):
            with open(os.path.join(root, name), "rb") as f:
                h.update(name.encode() + b"\0" + f.read())
    return h.hexdigest()[:16]


def payload():
    """The freestanding guest's ELF file, built if its source changed."""
    here = os.path.join(source_dir(), "guest")
    out = os.path.join(cache_root(), "guest", "payload-%s.elf" % _digest(here))
    if not os.path.exists(out):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        temporary = "%s.%d" % (out, os.getpid())
        r = subprocess.run([os.path.join(here, "build.sh"), temporary], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            raise LabError("the test guest does not build (a C compiler and binutils are "
                           "needed):\n" + r.stdout)
        os.rename(temporary, out)
    return out


def install(directory):
    """Put the guests into a lab's exchange folder."""
    shutil.copy(payload(), os.path.join(directory, "payload.elf"))
