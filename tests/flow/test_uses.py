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


def test_a_platform_device_in_the_group(world):
    """An I2C controller of the chipset: VFIO refuses the group while the host drives it."""
    group = os.path.basename(os.readlink(world.path("%s/%s/iommu_group" % (DEVICES, NVME))))
    other = "/sys/kernel/iommu_groups/%s/devices/AMDI0020:00" % group
    link(world, other + "/driver", "../../bus/platform/drivers/dw-apb-uart")
    link(world, other + "/subsystem", "../../bus/platform")
    before = world.snapshot()
    world.passthru("run", "--device", NVME, "--", "true").fails(
        14, "AMDI0020:00 (dw-apb-uart)",
        "\n  echo AMDI0020:00 > /sys/bus/platform/drivers/dw-apb-uart/unbind")
    assert world.snapshot() == before
    assert "AMDI0020:00" in world.passthru("detach", NVME).ok().err
    assert "AMDI0020:00  dw-apb-uart  blocks the group" in world.passthru("show", NVME).ok().out
    world.passthru("reattach", NVME).ok()
    os.unlink(world.path(other + "/driver"))
    world.passthru("run", "--device", NVME, "--", "true").ok()
    assert world.snapshot() == before


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
