# SPDX-License-Identifier: LGPL-2.1-or-later
"""list, tree, show: what the machine holds, for people and for programs."""

import os

import pytest

import worlds
from zoo_names import EDU, NIC_A, NIC_B, NVME, PORT


def test_list_has_every_function(world):
    out = world.passthru("list").ok().out
    for address in world.snapshot()["functions"]:
        assert address in out or address[5:] in out


def test_list_in_json(world):
    listed = world.passthru("list", "--json").ok().json
    by_address = {f["address"]: f for f in listed}
    functions = world.snapshot()["functions"]
    assert set(by_address) == set(functions)
    assert list(by_address) == sorted(by_address)
    for address, (driver, _) in functions.items():
        assert by_address[address]["driver"] == driver
    assert by_address[NIC_A]["iommu_group"] == by_address[NIC_B]["iommu_group"] != None   # noqa: E711
    assert by_address[PORT]["kind"] == "bridge" and by_address[NVME]["kind"] == "endpoint"


@pytest.mark.only("fake", reason="no kernel is asked")
@pytest.mark.parametrize("words, wanted", [
    (["--driver", "nvme"], lambda f, d: d == "nvme"),
    (["--class", "nvme"], lambda f, d: f["class"]["word"] == "nvme"),
    (["--id", "1234:11e8"], lambda f, d: f["vendor"]["id"] == "0x1234" and
     f["device"]["id"] == "0x11e8"),
])
def test_filters(world, words, wanted):
    everything = world.passthru("list", "--json").ok().json
    found = world.passthru("list", "--json", *words).ok().json
    assert found and found == [f for f in everything if wanted(f, f["driver"])]


def test_show(world):
    out = world.passthru("show", NVME).ok().out
    for word in (NVME, "nvme", "flr", "MSI-X"):
        assert word.lower() in out.lower()


@pytest.mark.parametrize("words", [["list"], ["tree"], ["status"], ["show", NVME], ["show", EDU]])
def test_json_is_json_and_plain_is_plain(world, words):
    world.passthru(*words, "--json").ok().json
    assert "\x1b" not in world.passthru(*words).ok().out


def test_tree_has_parents_above_children(world):
    out = world.passthru("tree").ok().out
    assert out.index(PORT[5:]) < out.index(NVME[5:])


def test_show_every_function(world):
    """Also what must not be taken: reading is for all of them."""
    addresses = sorted(world.snapshot()["functions"])
    shown = world.passthru("show", "--json", *addresses).ok().json
    assert [f["address"] for f in shown] == addresses


def test_help(world):
    out = world.passthru("--help").ok().out
    for verb in ("list", "tree", "show", "detach", "reattach", "reset", "run"):
        assert verb in out


@pytest.mark.only("lab", reason="compares with lspci, which reads the real /sys")
def test_list_agrees_with_lspci(world):
    listed = world.passthru("list", "--json").ok().json
    ours = [(f["address"], f["vendor"]["id"][2:], f["device"]["id"][2:]) for f in listed]
    theirs = []
    for line in world.sh("lspci -D -n").splitlines():
        address, _, ids = line.split()[:3]
        theirs.append((address, *ids.split(":")))
    assert sorted(ours) == sorted(theirs)


@pytest.mark.only("lab", reason="reads the kernel's own answer")
def test_options_of_reset_are_the_kernels(world):
    shown = world.passthru("show", "--json", NVME).ok().json
    assert shown["reset_methods"] == world.read(
        os.path.join(worlds.DEVICES, NVME, "reset_method")).split()
