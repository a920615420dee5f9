# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people typed before still works: virsh's verbs, its names, and decimal fields."""

import re
import xml.etree.ElementTree as ET

import pytest

from zoo_names import NVME


def nodedev(address):
    return "pci_" + re.sub("[:.]", "_", address)


def decimal(address):
    domain, bus, slot, function = (str(int(f, 16)) for f in re.split("[:.]", address))
    return ["--domain", domain, "--bus", bus, "--slot", slot, "--function", function]


@pytest.mark.parametrize("detach", ["nodedev-detach", "nodedev-dettach"])
def test_the_seeds_commands(world, detach):
    before = world.snapshot()
    name = nodedev(NVME)
    assert name in world.passthru("nodedev-list", "--tree").ok().out
    assert name in world.passthru("nodedev-list").ok().out.split()
    world.passthru(detach, name).ok()
    assert world.driver(NVME) == "vfio-pci"
    world.passthru("nodedev-reset", name).ok()
    world.passthru("nodedev-reattach", name).ok()
    assert world.snapshot() == before


def test_nodedev_dumpxml(world):
    out = world.passthru("nodedev-dumpxml", nodedev(NVME)).ok().out
    assert out == world.passthru("show", "--xml", NVME).ok().out
    root = ET.fromstring(out)
    assert root.tag == "device"
    assert root.findtext("name") == nodedev(NVME)
    assert root.findtext("path").endswith("/" + NVME)
    assert root.findtext("driver/name") == "nvme"
    capability = root.find("capability[@type='pci']")
    fields = [int(capability.findtext(f)) for f in ("domain", "bus", "slot", "function")]
    assert fields == [int(f, 16) for f in re.split("[:.]", NVME)]
    assert capability.find("product").get("id") and capability.find("vendor").get("id")
    assert capability.find("iommuGroup/address").get("bus") == "0x01"


@pytest.mark.only("fake", reason="no kernel is asked")
@pytest.mark.parametrize("words", [
    [NVME], [NVME[5:]], [NVME.upper()], [nodedev(NVME)], decimal(NVME), decimal(NVME)[2:]])
def test_every_spelling_means_the_same(world, words):
    assert world.passthru("show", *words).ok().out == world.passthru("show", NVME).ok().out


@pytest.mark.only("fake", reason="no kernel is asked")
@pytest.mark.parametrize("words", [
    ["--bus", "0x1", "--slot", "0", "--function", "0"],
    ["--bus", "1", "--slot", "32", "--function", "0"],
    ["--bus", "256", "--slot", "0", "--function", "0"],
    ["--bus", "1", "--slot", "0"]])
def test_decimal_fields_are_checked(world, words):
    before = world.snapshot()
    world.passthru("detach", *words).fails(2)
    assert world.snapshot() == before


def test_decimal_fields_detach(world):
    before = world.snapshot()
    world.passthru("detach", *decimal(NVME)).ok()
    assert world.driver(NVME) == "vfio-pci"
    world.passthru("reattach", *decimal(NVME)).ok()
    assert world.snapshot() == before
