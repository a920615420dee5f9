#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs at boot: systemd's own check of all units, the shell's of the initramfs scripts, and
a run of the hook for initramfs-tools against stand-ins for its functions."""

import glob
import os
import re
import subprocess
import tempfile

import tap

DATA = os.path.join(tap.ROOT, "data")

# What hook-functions defines, as far as the hook uses it, telling what it is asked for.
FUNCTIONS = """
copy_exec() { echo "exec $1 ${2-}"; }
manual_add_modules() { echo "module $*"; }
"""


def run(words, **options):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)


def check_units():
    """Programs are looked for where they will be installed, so one that is here stands for them."""
    with tempfile.TemporaryDirectory() as directory:
        names = []
        for path in glob.glob(DATA + "/*.service.in") + glob.glob(DATA + "/*.socket") + \
                glob.glob(DATA + "/*.timer"):
            name = os.path.basename(path).removesuffix(".in")
            with open(path, encoding="utf-8") as f:
                text = re.sub("@[A-Z]+@", "/bin/true", f.read())
            with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
                f.write(text)
            names.append(os.path.join(directory, name))
        # the group is made by sysusers when installed
        r = run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *sorted(names)])
        return r.stdout.splitlines() + (["status %d" % r.returncode] if r.returncode else []) + \
            ([] if len(names) >= 8 else ["only %s" % names])


def check_syntax():
    bad = []
    for path in [DATA + "/initramfs-tools/hooks/passthru", DATA + "/dracut/passthru-persist.sh",
                 DATA + "/initramfs-tools/init-top/passthru"]:
        bad += run(["sh", "-n", path]).stdout.splitlines()
    bad += run(["bash", "-n", DATA + "/dracut/module-setup.sh"]).stdout.splitlines()
    return bad


def run_hook(directory, devices):
    """The hook with other places, everything else as it is; what it asked for."""
    with open(DATA + "/initramfs-tools/hooks/passthru", encoding="utf-8") as f:
        text = f.read()
    for there, here in ((". /usr/share/initramfs-tools/hook-functions", ". ./functions"),
                        ("set -- /etc/passthru/devices.d/", "set -- ./devices.d/"),
                        ("passthru=/usr/sbin/passthru", "passthru=./passthru")):
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    os.makedirs(directory + "/devices.d")
    for name, content in (("hook", text), ("functions", FUNCTIONS), ("passthru", "#!/bin/sh\n"),
                          *(("devices.d/%s.json" % n, d) for n, d in devices.items())):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
            f.write(content)
    os.chmod(directory + "/passthru", 0o755)
    r = run(["sh", "-e", "hook"], cwd=directory,
            env={"DESTDIR": directory + "/image", "PATH": "/usr/bin:/bin"})
    return r.returncode, r.stdout.splitlines()


def check_hook():
    bad = []
    one = '{\n  "device": "0000:01:00.0",\n  "driver":"%s",\n  "x":1\n}\n'
    with tempfile.TemporaryDirectory() as directory:
        status, lines = run_hook(directory, {"0000:01:00.0": one % "vfio-pci",
                                             "0000:02:00.0": one % "mlx5_vfio_pci",
                                             "0000:03:00.0": one % "vfio-pci",
                                             "0000:04:00.0": one % "; reboot"})
        image = directory + "/image/etc/passthru/devices.d"
        kept = sorted(os.listdir(image)) if os.path.isdir(image) else []
        if status or lines[:1] != ["exec ./passthru /usr/sbin/passthru"]:
            bad += ["status %d" % status] + lines
        if [x for x in lines if x.startswith("module")] != ["module mlx5_vfio_pci",
                                                            "module vfio-pci"]:
            bad += ["modules:"] + lines
        if len(kept) != 4:
            bad.append("devices in the image: %s" % kept)
    with tempfile.TemporaryDirectory() as directory:
        status, lines = run_hook(directory, {})
        if status or lines or os.path.exists(directory + "/image"):
            bad += ["without devices: status %d" % status] + lines
    for script in ("hooks", "init-top"):
        r = run(["sh", "%s/initramfs-tools/%s/passthru" % (DATA, script), "prereqs"])
        if r.returncode or r.stdout:
            bad.append("%s has prerequisites: %s" % (script, r.stdout))
    # init-top without prerequisites is in the order of names
    if not sorted(("udev", "passthru"))[0] == "passthru":
        bad.append("udev comes before passthru")
    return bad


def main():
    t = tap.Tap()
    t.check("systemd accepts all units", check_units())
    t.check("the initramfs scripts are shell", check_syntax())
    t.check("the hook puts program, drivers and devices into the image", check_hook())
    t.finish()


main()
