# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machines that the lab can build, as data.

ZOO is the card rack of the default profile: what is plugged in, where, in which
IOMMU group (as a label: functions with the same label share one), and why it is
there.  The QEMU command line, the table in README.md and the tests all read
this one list.
"""

from collections import namedtuple

# driver None marks a function that comes with the chipset and is not ours to add.
Card = namedtuple("Card", "id device bus addr opts pci kernel_driver group what why")


def _card(id, device, bus, addr, pci, kernel_driver, group, what, why, **opts):
    return Card(id, device, bus, addr, opts, pci, kernel_driver, group, what, why)


def _port(id, addr, pci, why, group=None, bus="pcie.0", **opts):
    return _card(id, "pcie-root-port", bus, addr, pci, "pcieport",
                 group or id, "root port", why, **opts)


# Disk images made at the first start of a lab: name -> MiB (sparse).
DISKS = {"nvme0": 256, "nvme1": 64, "nvme2": 64, "usb0": 16}

ZOO = [
    _port("rp_nvme0", "1.0", "00:01.0", "slot of nvme0", slot=1),
    _card("nvme0", "nvme", "rp_nvme0", "0.0", "01:00.0", "nvme", "nvme0",
          "NVMe drive, serial lab0, 256 MiB", "the plain case: one function, own group, FLR, MSI-X",
          serial="lab0", disk="nvme0"),
    _port("rp_nvme1", "2.0", "00:02.0", "slot of nvme1", slot=2),
    _card("nvme1", "nvme", "rp_nvme1", "0.0", "02:00.0", "nvme", "nvme1",
          "NVMe drive, serial lab1, 64 MiB", "the twin: same ids as nvme0, only the serial differs",
          serial="lab1", disk="nvme1"),
    _port("rp_igb", "3.0", "00:03.0", "slot of igb0", slot=3),
    _card("igb0", "igb", "rp_igb", "0.0", "03:00.0", "igb", "igb0",
          "Intel 82576 NIC, up to 7 VFs", "SR-IOV; VFs appear at 03:10.0, 03:10.2 …",
          mac="52:54:00:1a:b0:01", nic=True),
    _port("rp_e1000e", "4.0", "00:04.0", "slot of e1000e0", slot=4),
    _card("e1000e0", "e1000e", "rp_e1000e", "0.0", "04:00.0", "e1000e", "e1000e0",
          "Intel 82574L NIC", "reset by PM or bus only; has a device serial number",
          mac="52:54:00:1a:b0:02", nic=True),
    _port("rp_edu", "5.0", "00:05.0", "slot of edu0", slot=5),
    _card("edu0", "edu", "rp_edu", "0.0", "05:00.0", None, "edu0",
          "QEMU's teaching device 1234:11e8", "no driver, conventional PCI function, DMA and MSI provable",
          ),
    _port("rp_gpu", "6.0", "00:06.0", "slot of gpu0", slot=6),
    _card("gpu0", "bochs-display", "rp_gpu", "0.0", "06:00.0", "bochs-drm", "gpu0",
          "display controller", "with gpu0_audio: two functions of one card that must go together",
          multifunction="on"),
    _card("gpu0_audio", "ich9-intel-hda", "rp_gpu", "0.1", "06:00.1", "snd_hda_intel", "gpu0",
          "HD audio of the same card", "second function of gpu0's card"),
    _port("rp_usb", "7.0", "00:07.0", "slot of usb_ctl", slot=7),
    _card("usb_ctl", "qemu-xhci", "rp_usb", "0.0", "07:00.0", "xhci_hcd", "usb_ctl",
          "USB controller", "a usb-storage disk and a tablet hang below it"),
    _card("pcibr", "pcie-pci-bridge", "pcie.0", "8.0", "00:08.0", None, "pcibr",
          "PCIe-to-PCI bridge", "everything behind it shares one requester id, so one group"),
    _card("pci_nic0", "e1000", "pcibr", "1.0", "08:01.0", "e1000", "pcibr",
          "Intel 82540EM NIC", "shares its group with its neighbour",
          mac="52:54:00:1a:b0:03", nic=True),
    _card("pci_nic1", "e1000", "pcibr", "2.0", "08:02.0", "e1000", "pcibr",
          "Intel 82540EM NIC", "the neighbour",
          mac="52:54:00:1a:b0:04", nic=True),
    _port("rp_sw", "9.0", "00:09.0", "slot of the switch", slot=9),
    _card("sw_up", "x3130-upstream", "rp_sw", "0.0", "09:00.0", "pcieport", "sw_up",
          "switch, upstream port", "a PCIe switch"),
    _card("sw_dn0", "xio3130-downstream", "sw_up", "0.0", "0a:00.0", "pcieport", "sw0",
          "switch, downstream port 0", "", chassis=10, slot=1),
    _card("sw_dn1", "xio3130-downstream", "sw_up", "1.0", "0a:01.0", "pcieport", "sw1",
          "switch, downstream port 1", "", chassis=10, slot=2),
    _card("sw_nic", "e1000e", "sw_dn0", "0.0", "0b:00.0", "e1000e", "sw0",
          "Intel 82574L NIC below the switch", "",
          mac="52:54:00:1a:b0:05", nic=True),
    _card("sw_edu", "edu", "sw_dn1", "0.0", "0c:00.0", None, "sw1",
          "edu below the switch", ""),
    _port("rp_noacs0", "a.0", "00:0a.0", "root port that hides ACS, function 0", slot=10,
          group="noacs", **{"disable-acs": "on", "multifunction": "on"}),
    _port("rp_noacs1", "a.1", "00:0a.1", "root port that hides ACS, function 1", slot=11,
          group="noacs", **{"disable-acs": "on"}),
    _card("noacs_nvme", "nvme", "rp_noacs0", "0.0", "0d:00.0", "nvme", "noacs",
          "NVMe drive, serial lab2, 64 MiB",
          "in one group with noacs_nic though on another port: consumer boards",
          serial="lab2", disk="nvme2"),
    _card("noacs_nic", "e1000e", "rp_noacs1", "0.0", "0e:00.0", "e1000e", "noacs",
          "Intel 82574L NIC", "see noacs_nvme",
          mac="52:54:00:1a:b0:06", nic=True),
    _card("multi_usb", "qemu-xhci", "pcie.0", "b.0", "00:0b.0", "xhci_hcd", "multi",
          "USB controller on the root bus", "function 0 of a pair in one group",
          multifunction="on"),
    _card("multi_edu", "edu", "pcie.0", "b.1", "00:0b.1", None, "multi",
          "edu on the root bus", "function 1 of the pair"),
    _card("noreset", "edu", "pcie.0", "c.0", "00:0c.0", None, "noreset",
          "edu on the root bus", "no reset method at all: no FLR, no PM, no bus of its own"),
    _card("pxb1", "pxb-pcie", "pcie.0", "d.0", "00:0d.0", None, "pxb1",
          "second PCI host bridge (bus 40)", "NUMA node 1", bus_nr=0x40, numa_node=1),
    _port("rp_node1", "0.0", "40:00.0", "slot of node1_nic", slot=16, bus="pxb1"),
    _card("node1_nic", "e1000e", "rp_node1", "0.0", "41:00.0", "e1000e", "node1_nic",
          "Intel 82574L NIC on NUMA node 1", "another root bus, another NUMA node",
          mac="52:54:00:1a:b0:07", nic=True),
    _port("hp1", "e.0", "00:0e.0", "empty hotplug slot", slot=14),
    _port("hp2", "f.0", "00:0f.0", "empty hotplug slot", slot=15),
]

# The machinery of the lab itself.  Real PCI functions too: taking one of these
# from the lab's kernel takes the lab's own disk or console away.  No ioeventfd: each
# is one more descriptor in every round of QEMU's loop, which costs as much as what it saves.
PLUMBING = [
    _card("labcon", "virtio-serial-pci", "pcie.0", "1b.0", "00:1b.0", "virtio-pci", "labcon",
          "virtio console", "carries `lab run`", max_ports=25, ioeventfd="off"),
    _card("labroot", "virtio-9p-pci", "pcie.0", "1c.0", "00:1c.0", "virtio-pci", "labroot",
          "virtio 9p", "the machine's own / , read-only", fsdev="root", mount_tag="root",
          ioeventfd="off"),
    _card("labx", "virtio-9p-pci", "pcie.0", "1d.0", "00:1d.0", "virtio-pci", "labx",
          "virtio 9p", "the exchange folder /lab", fsdev="lab", mount_tag="lab", ioeventfd="off"),
    _card("labdisk", "virtio-blk-pci", "pcie.0", "1e.0", "00:1e.0", "virtio-pci", "labdisk",
          "virtio disk", "what the lab writes to its / , kept over reboots", drive="d_root", serial="labdisk",
          ioeventfd="off"),
]

# Four controllers with 127 virtual functions each, for listing at scale.
MANY_VFS = []
for _n in range(4):
    MANY_VFS.append(_port("rp_many%d" % _n, "%x.0" % (_n + 1), "00:%02x.0" % (_n + 1),
                          "slot of many%d" % _n, slot=_n + 1))
    MANY_VFS.append(_card(
        "many%d" % _n, "nvme", "rp_many%d" % _n, "0.0", "%02x:00.0" % (_n + 1), "nvme",
        "many%d" % _n, "NVMe controller, serial many%d" % _n, "127 VFs on request (lab-vfs)",
        serial="many%d" % _n, subsys="ss%d" % _n, sriov_max_vfs=127,
        max_ioqpairs=256, sriov_vq_flexible=254, sriov_vi_flexible=127, msix_qsize=129))

# With a suite, / is a disk with that Debian on it (installed.py), else the machine's own.
Profile = namedtuple("Profile", "name iommu cmdline cards what modules suite security",
                     defaults=[(), None, "apparmor"])

_VTD = "intel-iommu,intremap=%s,device-iotlb=on"

PROFILES = {p.name: p for p in [
    Profile("vtd", [_VTD % "on"], "intel_iommu=on iommu=pt", ZOO,
            "Intel VT-d with interrupt remapping, the whole zoo"),
    Profile("amd-iommu", ["amd-iommu,intremap=on"], "iommu=pt", ZOO,
            "AMD-Vi with interrupt remapping, the whole zoo"),
    Profile("virtio-iommu", ["virtio-iommu-pci,id=viommu,bus=pcie.0,addr=1a.0"], "iommu=pt", ZOO,
            "virtio-iommu: translation without interrupt remapping", ["virtio_iommu"]),
    Profile("no-iommu", [], "", ZOO,
            "no IOMMU at all: no groups, nothing can be assigned safely"),
    Profile("no-intremap", [_VTD % "off"], "intel_iommu=on iommu=pt", ZOO,
            "VT-d without interrupt remapping: VFIO refuses unless unsafe interrupts are allowed"),
    Profile("many-vfs", [_VTD % "on"], "intel_iommu=on iommu=pt", MANY_VFS,
            "VT-d and four NVMe controllers with 127 VFs each"),
    Profile("debian12", [_VTD % "on"], "intel_iommu=on iommu=pt", ZOO,
            "as vtd, but an installed Debian 12, with systemd", suite="bookworm"),
    Profile("debian13", [_VTD % "on"], "intel_iommu=on iommu=pt", ZOO,
            "as vtd, but an installed Debian 13, with systemd", suite="trixie"),
    Profile("selinux", [_VTD % "on"], "intel_iommu=on iommu=pt", ZOO,
            "as debian13, under SELinux in the place of AppArmor", suite="trixie", security="selinux"),
]}


def plumbing(profile):
    """An installed system has no use for the machine's /."""
    return [c for c in PLUMBING if c.id != "labroot" or not profile.suite]


def find(card_id):
    for card in ZOO + PLUMBING + MANY_VFS:
        if card.id == card_id:
            return card
    raise KeyError(card_id)


def _device_arg(card, netdev):
    opts = dict(card.opts)
    disk = opts.pop("disk", None)
    nic = opts.pop("nic", False)
    if disk:
        opts["drive"] = "d_" + disk
    if nic:
        opts["netdev"] = netdev
        opts.setdefault("romfile", "")
    if card.device == "pcie-root-port":
        opts.setdefault("chassis", opts.get("slot", 1))
    words = [card.device, "id=" + card.id, "bus=" + card.bus, "addr=" + card.addr]
    return ",".join(words + ["%s=%s" % kv for kv in opts.items()])


def qemu_args(profile, disk_path):
    """The part of QEMU's command line that describes the cards.

    disk_path(name) says where the image of a disk is."""
    args = []
    # amd-iommu adds a function of its own at the first free address: last, so that
    # it finds the one behind all others.
    iommus = [word for iommu in profile.iommu for word in ("-device", iommu)]
    late = profile.iommu and profile.iommu[0].startswith("amd-iommu")
    if not late:
        args += iommus
    for name in sorted({c.opts["disk"] for c in profile.cards if "disk" in c.opts}):
        args += ["-drive", "if=none,id=d_%s,format=raw,file=%s" % (name, disk_path(name))]
    for n in range(4):
        if profile.cards is MANY_VFS:
            args += ["-device", "nvme-subsys,id=ss%d" % n]
    nics = 0
    for card in profile.cards + plumbing(profile):
        netdev = "net%d" % nics
        if card.opts.get("nic"):
            # One hub: the lab's NICs hear each other and nothing else.
            args += ["-netdev", "hubport,id=%s,hubid=0" % netdev]
            nics += 1
        args += ["-device", _device_arg(card, netdev)]
    if profile.cards is ZOO:
        args += ["-drive", "if=none,id=d_usb0,format=raw,file=" + disk_path("usb0"),
                 "-device", "usb-storage,id=usb_disk,bus=usb_ctl.0,drive=d_usb0,serial=labusb0",
                 "-device", "usb-tablet,id=usb_tablet,bus=usb_ctl.0",
                 "-device", "hda-output,id=gpu0_codec,bus=gpu0_audio.0,audiodev=silent",
                 "-audiodev", "none,id=silent"]
    return args + iommus if late else args


def table():
    """The zoo as a Markdown table, for README.md."""
    rows = ["| id | address | group | driver | what | why |", "| --- | --- | --- | --- | --- | --- |"]
    for c in ZOO + PLUMBING:
        rows.append("| `%s` | %s | %s | %s | %s | %s |" % (
            c.id, c.pci, c.group, c.kernel_driver or "–", c.what, c.why))
    return "\n".join(rows)
