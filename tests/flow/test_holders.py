# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who else is concerned: devices that are not on PCI, and guests of parts of a device."""

import os

import pytest

from worlds import DEVICES
from zoo_names import NVME

pytestmark = pytest.mark.only("fake", reason="the lab's machine has no such devices")


def put(world, path, text):
    os.makedirs(os.path.dirname(world.path(path)), exist_ok=True)
    with open(world.path(path), "w") as f:
        f.write(text + "\n")


def link(world, path, target):
    os.makedirs(os.path.dirname(world.path(path)), exist_ok=True)
    os.symlink(target, world.path(path))


def test_a_guest_of_a_mediated_device(world):
    """Its parent's driver can't be unbound while it runs, by force neither."""
    mdev = "%s/%s/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001" % (DEVICES, NVME)
    put(world, mdev + "/uevent", "DRIVER=vfio_mdev")
    link(world, mdev + "/iommu_group", "../../../kernel/iommu_groups/77")
    put(world, "/sys/class/vfio/77/dev", "511:4")
    before = world.snapshot()
    world.passthru("plan", "detach", NVME).ok()
    put(world, "/proc/90/comm", "qemu-system-x86")
    link(world, "/proc/90/fd/9", "/dev/vfio/77")
    for words in ([], ["--force", "--reason", "I know"]):
        world.passthru("detach", *words, NVME).fails(15, "guest qemu-system-x86 (pid 90)",
                                                     "IOMMU group 77")
    assert world.snapshot() == before
