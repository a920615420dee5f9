# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cards that scenarios use, by what they are good for (lab/zoo.py holds them all)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lab"))

from zoo import find                                                # noqa: E402


def address(card):
    return "0000:" + find(card).pci


NVME = address("nvme0")             # own group, FLR, driver nvme
TWIN = address("nvme1")             # the same ids
EDU = address("edu0")               # no driver
NIC_A = address("pci_nic0")         # these two share a group behind a bridge
NIC_B = address("pci_nic1")
PORT = address("rp_nvme0")          # a bridge
NORESET = address("noreset")        # no reset method
LONE_NIC = address("e1000e0")       # reset by pm or bus
NOWHERE = "0000:7f:1f.7"
# ten that go to guests together, as whole groups
TEN = [address(card) for card in ("nvme0", "nvme1", "edu0", "e1000e0", "igb0", "pci_nic0", "pci_nic1",
                                  "sw_nic", "sw_edu", "node1_nic")]
