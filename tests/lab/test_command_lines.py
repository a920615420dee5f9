# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command lines that typical definitions become (tests/unit/golden/domains) are ones that QEMU
itself takes: every option, device and property of them. What this host can't have is taken out or
something else put in its place: its devices, KVM and its processors, files, taps, locked memory."""

import glob
import json
import os
import re
import shlex
import subprocess

import pytest

pytestmark = pytest.mark.only("lab", "it needs the lab's QEMU")

DOMAINS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                       "unit/golden/domains")
QUIT = '{"execute": "qmp_capabilities"} {"execute": "quit"}'


def options(words):
    """[option, value or None] of a command line without its program."""
    out = []
    for word in words:
        if word.startswith("-"):
            out.append([word, None])
        else:
            out[-1][1] = word
    return out


def cpu(value):
    """Emulated, and without what only KVM or a processor of the host's can do."""
    model, *features = value.split(",")
    ours = [f for f in features if not re.match(r"hv[-_]|kvm[-=]|host-|l3-|topoext|migratable|"
                                                r"enforce|check|\+?invtsc|-?hypervisor", f)]
    return ",".join(["max" if model == "host" else model] + ours)


def machine(value):
    return ",".join(p for p in value.split(",")
                    if not re.match("kernel-irqchip|kernel_irqchip|pflash", p))


def device(value):
    """None: one of the host's, or another's input."""
    d = json.loads(value)
    if d["driver"] == "vfio-pci" or d.get("driver", "").startswith("virtio-input-host"):
        return None
    for key in "romfile", "failover", "failover_pair_id":
        d.pop(key, None)
    return json.dumps(d)


def blockdev(value):
    """An empty disk where there would be a file, a drive or an image; no firmware."""
    d = json.loads(value)
    if "pflash" in d["node-name"]:
        return None
    if d["driver"] in ("file", "host_device", "nvme", "host_cdrom"):
        d = {"driver": "null-co", "node-name": d["node-name"], "size": 1 << 20}
    elif "file" in d and d["driver"] == "qcow2":
        d = {"driver": "raw", "node-name": d["node-name"], "file": d["file"],
             "read-only": d.get("read-only", False)}
    return json.dumps(d)


def backend(value):
    """Memory of a size that any host has, from anywhere."""
    d = json.loads(value)
    if not d["qom-type"].startswith("memory-backend"):
        return None if d["qom-type"] == "input-linux" else value
    return json.dumps({"qom-type": "memory-backend-ram", "id": d["id"], "size": d["size"],
                       "reserve": False})


def netdev(value):
    return json.dumps({"type": "user", "id": json.loads(value)["id"], "restrict": True})


def chardev(value):
    first = value.split(",")[0]
    name = re.search(r"id=([^,]+)", value)[1]
    return "null,id=" + name if first in ("socket", "file", "pty") else value


CHANGES = {"-device": device, "-blockdev": blockdev, "-object": backend, "-netdev": netdev,
           "-chardev": chardev, "-cpu": cpu, "-machine": machine, "-accel": lambda v: "tcg",
           "-audiodev": lambda v: re.sub('"driver":"(alsa|pa|pipewire|jack|oss)"[^}]*"id"',
                                         '"driver":"none","id"', v),
           "-spice": lambda v: "port=0,addr=127.0.0.1," + v.split(",", 2)[2],
           "-vnc": lambda v: "none", "-overcommit": lambda v: "mem-lock=off",
           "-tpmdev": lambda v: None, "-kernel": lambda v: None, "-append": lambda v: None}


@pytest.mark.parametrize("path", sorted(glob.glob(DOMAINS + "/*.args")), ids=os.path.basename)
def test_qemu_takes_it(path):
    with open(path, encoding="utf-8") as f:
        words = shlex.split(f.read().replace("\\\n", " "))
    line = [os.path.basename(words[0])]
    for option, value in options(words[1:]):
        if option in CHANGES:
            value = CHANGES[option](value)
            if value is None:
                continue
        if value and re.search('"driver": "tpm-|kvm-pit', value):
            continue
        line += [option] + ([value] if value is not None else [])
    r = subprocess.run(line + ["-S", "-qmp", "stdio"], input=QUIT, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert r.returncode == 0 and '"error"' not in r.stdout, r.stderr + r.stdout
