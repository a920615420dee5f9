#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Record the PCI side of a running machine's /sys as JSON on standard output.

The fake kernel of the unit tests is built from such a recording.  Attributes are
text where they are UTF-8, else {"base64": …}; one that can't be read is
{"errno": NAME}; symlinks keep their target as written.  Nothing is changed on
the machine.  Run it inside the lab:  lab run lab-record >tests/machines/vtd.json
"""

import base64
import errno
import glob
import json
import os
import re
import subprocess

LIMIT = 4096
# Reading these has effects or takes long, or they hold no text (memory windows).
SKIP = {"rom", "remove", "rescan", "reset", "reset_subordinate", "remove_id", "new_id", "bind",
        "unbind", "uevent_helper"}
CLASS_DIRS = ("net", "nvme", "drm", "sound", "ata*", "usb*", "block", "graphics", "input", "host*", "virtio*",
              "ptp", "i2c-*")


def read(path, limit=LIMIT):
    try:
        with open(path, "rb") as f:
            data = f.read(limit)
    except OSError as e:
        return {"errno": errno.errorcode.get(e.errno, str(e.errno))}
    try:
        text = data.decode()
        if "\0" not in text:
            return text
    except UnicodeDecodeError:
        pass
    return {"base64": base64.b64encode(data).decode()}


def attributes(directory):
    found = {}
    for entry in sorted(os.scandir(directory), key=lambda e: e.name):
        name = entry.name
        if not entry.is_file(follow_symlinks=False):
            continue
        mode = entry.stat().st_mode & 0o777
        if name in SKIP or name.startswith("resource") and name != "resource" or not mode & 0o444:
            found[name] = {"mode": "%o" % mode, "size": entry.stat().st_size}
            continue
        value = read(entry.path)
        found[name] = {"mode": "%o" % mode, "value": value} if mode & 0o222 else {"value": value}
    return found


def links(directory):
    return {e.name: os.readlink(e.path) for e in os.scandir(directory) if e.is_symlink()}


def function(path):
    real = os.path.realpath(path)
    record = {"path": os.path.relpath(real, "/sys"), "attributes": attributes(real),
              "links": dict(sorted(links(real).items())), "directories": {}}
    for entry in sorted(os.scandir(real), key=lambda e: e.name):
        if not entry.is_dir(follow_symlinks=False):
            continue
        name = entry.name
        names = sorted(os.listdir(entry.path))
        if name in ("msi_irqs", "power"):
            record["directories"][name] = {n: read(os.path.join(entry.path, n)) for n in names
                                           if os.path.isfile(os.path.join(entry.path, n))}
        elif any(glob.fnmatch.fnmatch(name, p) for p in CLASS_DIRS):
            record["directories"][name] = names
        elif not (":" in name and name.count(":") == 2):
            record["directories"].setdefault(name, [])
    return record


def group(path):
    return {"devices": sorted(os.listdir(path + "/devices")), "type": read(path + "/type"),
            "reserved_regions": read(path + "/reserved_regions")}


def tree(pattern):
    return {p: read(p) for p in sorted(glob.glob(pattern)) if os.path.isfile(p)}


def vfio_aliases(release):
    try:
        with open("/lib/modules/%s/modules.alias" % release) as f:
            return [line.rstrip("\n") for line in f if " vfio_pci:" in line or line.split()[1].startswith("vfio_pci:")]
    except OSError:
        return []


def drivers():
    found = {}
    for path in sorted(glob.glob("/sys/bus/pci/drivers/*")):
        found[os.path.basename(path)] = {
            "devices": sorted(n for n in os.listdir(path) if n.count(":") == 2),
            "module": os.path.basename(os.readlink(path + "/module"))
                      if os.path.islink(path + "/module") else None}
    return found


def main():
    uname = os.uname()
    pci = "/sys/bus/pci/devices"
    record = {
        "format": 1,
        "uname": {"sysname": uname.sysname, "release": uname.release, "version": uname.version,
                  "machine": uname.machine},
        # Without the lab's own argument, a path of the machine below.
        "cmdline": re.sub(r" lab\.\S+", "", read("/proc/cmdline")),
        "devices": {n: function(os.path.join(pci, n)) for n in sorted(os.listdir(pci))},
        "iommu_groups": {n: group("/sys/kernel/iommu_groups/" + n)
                         for n in sorted(os.listdir("/sys/kernel/iommu_groups"), key=int)},
        "drivers": drivers(),
        "iommu": {os.path.basename(p): {"attributes": tree(p + "/*/*"), "devices": sorted(
            n for n in os.listdir(p + "/devices"))} for p in sorted(glob.glob("/sys/class/iommu/*"))
            if os.path.isdir(p + "/devices")},
        "buses": sorted(os.listdir("/sys/class/pci_bus")),
        "slots": {os.path.basename(p): {n: read(os.path.join(p, n)) for n in sorted(os.listdir(p))
                                        if n != "attention"} for p in
                  sorted(glob.glob("/sys/bus/pci/slots/*"))},
        "module_parameters": tree("/sys/module/vfio*/parameters/*"),
        "modules": read("/proc/modules", 1 << 20),
        "iomem": read("/proc/iomem", 1 << 20),
        "lockdown": read("/sys/kernel/security/lockdown"),
        "interrupts_remapped": bool(subprocess.run(
            ["sh", "-c", "dmesg | grep -q 'IRQ remapping'"], check=False).returncode == 0),
        "vfio_aliases": vfio_aliases(uname.release),
        "numa_nodes": tree("/sys/devices/system/node/node*/cpulist"),
        "net": {n: os.path.relpath(os.path.realpath("/sys/class/net/" + n), "/sys")
                for n in sorted(os.listdir("/sys/class/net"))},
        "block": {n: os.path.relpath(os.path.realpath("/sys/class/block/" + n), "/sys")
                  for n in sorted(os.listdir("/sys/class/block"))},
    }
    print(json.dumps(record, indent=1, ensure_ascii=False))


main()
