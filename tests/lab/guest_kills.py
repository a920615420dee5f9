#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kill passthrud, or QEMU, at random instants of a guest's life, inside the lab, and look.

    guest_kills.py FIRST COUNT SEED

Each round begins a start, attach, detach or destroy through virsh, kills one of the two with
SIGKILL after a random time, starts passthrud again where it was passthrud, and looks: every
device is either at home, without claim, override or journal, or in a guest that runs, that
virsh shows, that has it in its XML and whose QEMU has it open. The same of disks: each is lent to
the guest that has it, in whose mount namespace it is, and to nobody else. QEMU is a user of its own,
in a namespace of its own and, where the kernel enforces profiles, under its profile; under SELinux it
has a label, and its disks have that of its. Once no guest runs, there is no TPM, profile, file, label
or permission of one. How long an operation takes is
measured again and again, for a machine may become slower or faster: a kill that came too late
kills nothing but an idle daemon. What it prints is in rounds.py.
"""

import errno
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import libvirt
import rounds

DEVICES = "/sys/bus/pci/devices"
STATE = "/run/passthru"
NVME, EDU = "0000:01:00.0", "0000:05:00.0"
HOME = {NVME: "nvme", EDU: None}
DISKS = ["/srv/kills/full", "/srv/kills/plugged"]
ACL_USER = 2
FIRST_UID, LAST_UID = 1879113728, 1879113728 + 65535
PROFILES = "/sys/kernel/security/apparmor/profiles"
HAS_PROFILES = os.path.exists(PROFILES) and os.path.exists("/usr/sbin/apparmor_parser")
PID = "/tmp/passthrud.pid"
HAS_LABELS = os.path.exists("/sys/fs/selinux/enforce")
SVIRT = r"system_u:system_r:svirt_t:s0:(c\d+,c\d+)"
ACTIVE = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE

HOSTDEV = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
<address domain='0x%s' bus='0x%s' slot='0x%s' function='0x%s'/></source></hostdev>"""

DISK = """<disk type='file'><driver name='qemu' type='raw'/><source file='%s'/>
<target dev='vda' bus='virtio'/></disk>"""
TPM = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"

DOMAIN = """<domain type='qemu'><name>%s</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>/srv/kills/payload.elf</kernel>
<cmdline>stay expect-none</cmdline></os><features><acpi/><apic/></features>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<serial type='file'><source path='/tmp/serial-%s'/></serial><memballoon model='none'/>
%s</devices></domain>"""


def hostdev(address):
    return HOSTDEV % tuple(re.split("[:.]", address))


def connect():
    """Anew each time, for the daemon is another one after each round; no virsh, which takes ten
    times as long to begin as what it is asked here takes."""
    return libvirt.open("qemu:///system")


def start_daemon():
    with open("/tmp/passthrud.log", "a") as log:
        p = subprocess.Popen(["/lab/bin/passthrud", "--libvirt-socket", "-v"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
    with open(PID, "w") as f:
        f.write("%d\n" % p.pid)
    for _ in range(600):
        try:
            connect().listAllDomains()
            return
        except libvirt.libvirtError:
            time.sleep(0.1)
    raise SystemExit("passthrud doesn't answer")


def start(guest):
    connect().lookupByName(guest).create()


def attach(xml):
    connect().lookupByName("empty").attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def link(path):
    try:
        return os.path.basename(os.readlink(path))
    except FileNotFoundError:
        return None


def qemus():
    """{guest: pid} of what runs, seen without passthrud."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                words = f.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "qemu-system" in words[0]:
            names = [w for w in words if w.startswith("guest=")]
            found[names[0][6:].split(",")[0] if names else "?"] = int(pid)
    return found


def has_open(pid, group):
    try:
        return any(os.readlink("/proc/%d/fd/%s" % (pid, fd)) == "/dev/vfio/" + group
                   for fd in os.listdir("/proc/%d/fd" % pid))
    except OSError:
        return False


def names(directory):
    return sorted(os.listdir(STATE + directory)) if os.path.isdir(STATE + directory) else []


def confined(guest, pid):
    """What is wrong with how its QEMU is kept from the host and from its neighbours."""
    uid = os.stat("/proc/%d" % pid).st_uid
    found = [] if FIRST_UID <= uid <= LAST_UID else ["%s runs as user %d" % (guest, uid)]
    label = label_of(pid)
    if HAS_LABELS and not re.fullmatch(SVIRT, label):
        found.append("%s has the label %s" % (guest, label))
    if HAS_PROFILES and not re.fullmatch(r"passthru-\S+ \(enforce\)", label):
        found.append("%s runs under the profile %s" % (guest, label))
    if os.path.exists("/proc/%d/root/home" % pid):
        found.append("%s sees the host's files" % guest)
    return found


def permitted(path):
    """The users that its access control list names (linux/posix_acl_xattr.h)."""
    try:
        entries = os.getxattr(path, "system.posix_acl_access")[4:]
    except OSError as e:
        if e.errno != errno.ENODATA:
            raise
        entries = b""
    return {uid for tag, _, uid in struct.iter_unpack("<HHI", entries) if tag == ACL_USER}


def label_of(pid):
    with open("/proc/%d/attr/current" % pid) as f:
        return f.read().strip("\0\n")


def mislabelled(disk, pids):
    """Whether its label isn't that of what the guest with this process writes to, or, in none, its own."""
    if not HAS_LABELS:
        return []
    label = os.getxattr(disk, "security.selinux").decode().strip("\0")
    wanted = ["system_u:object_r:svirt_image_t:s0:" + re.fullmatch(SVIRT, label_of(pid))[1] for pid in pids]
    return [] if label in (wanted or ["system_u:object_r:var_t:s0"]) else [
        "%s has the label %s, and not %s" % (disk, label, wanted)]


def lent(running, processes):
    """What is wrong with who may use which disk."""
    found = []
    for disk in DISKS:
        guests = [guest for guest, xml in running.items() if disk in xml]
        pids = [processes[guest] for guest in guests if guest in processes]
        if permitted(disk) != {os.stat("/proc/%d" % pid).st_uid for pid in pids}:
            found.append("%s is permitted to %s, and in %s" % (disk, permitted(disk), guests))
        found += mislabelled(disk, pids)
        if not all(os.path.samefile(disk, "/proc/%d/root%s" % (pid, disk)) for pid in pids):
            found.append("%s isn't seen by %s" % (disk, guests))
        found += ["%s is seen by %s" % (disk, guest) for guest, pid in processes.items()
                  if guest not in guests and os.path.ismount("/proc/%d/root%s" % (pid, disk))]
    return found


def left_over():
    """Of guests, once none runs."""
    found = ["/run/passthru/guests/" + name for name in names("/guests") if not name.startswith(".")]
    for program in ("swtpm", "passthru-record"):
        r = subprocess.run(["ps", "-o", "pid=,ppid=,stat=,etimes=,wchan=", "-C", program],
                           stdout=subprocess.PIPE, text=True)
        found += ["a %s: %s" % (program, " ".join(line.split())) for line in r.stdout.splitlines()]
    if HAS_PROFILES:
        with open(PROFILES) as f:
            found += [line.strip() for line in f if line.startswith("passthru-")]
    return found


def problems():
    found = []
    c = connect()
    running = {d.name(): d.XMLDesc() for d in c.listAllDomains(ACTIVE)}
    processes = qemus()
    if set(processes) != set(running):
        found.append("virsh shows %s, there are %s" % (sorted(running), sorted(processes)))
    owners = {}
    for guest, xml in running.items():
        for bus, slot, function in re.findall(
                r"<source>\s*<address domain='0x0000' bus='0x(..)' slot='0x(..)' "
                r"function='0x(.)'/>", xml):
            owners["0000:%s:%s.%s" % (bus, slot, function)] = guest
    claims = names("/claims")
    for device, home in HOME.items():
        at = "%s/%s" % (DEVICES, device)
        driver = link(at + "/driver")
        with open(at + "/driver_override") as f:
            override = f.read().strip()
        guest = owners.get(device)
        if guest is None:
            if (driver, override) != (home, "(null)") or device in claims:
                found.append("%s is in no guest, on %s, override %s%s"
                             % (device, driver, override, ", claimed" * (device in claims)))
            continue
        if driver != "vfio-pci" or device not in claims:
            found.append("%s is in %s, on %s, claims %s" % (device, guest, driver, claims))
        elif not has_open(processes.get(guest, 0), link(at + "/iommu_group")):
            found.append("%s is in %s's XML, but not in its QEMU" % (device, guest))
    if names("/journal"):
        found.append("journals: %s" % names("/journal"))
    for guest, pid in processes.items():
        found += confined(guest, pid)
    found += lent(running, processes)
    if not running:
        found += left_over()
    return found


def settle(seconds=30):
    """What is still wrong when passthrud has had time to put things right."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = problems()
        except (libvirt.libvirtError, OSError) as e:    # a guest that ends while it is looked at
            found = [str(e)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.3)


def home():
    for guest in connect().listAllDomains(ACTIVE):
        guest.destroy()


def forget(guest):
    try:
        d = connect().lookupByName(guest)
    except libvirt.libvirtError:
        return
    if d.isActive():
        d.destroy()
    d.undefine()


# operation: what is there before, and the command
BEFORE = {
    "start": lambda: None,
    "destroy": lambda: start("full"),
    "attach": lambda: start("empty"),
    "detach": lambda: (start("empty"), wait_for_guest(), attach(hostdev(NVME))),
    "attach_disk": lambda: start("empty"),
    "detach_disk": lambda: (start("empty"), wait_for_guest(), attach(DISK % DISKS[1])),
}
WORDS = {
    "start": ["start", "full"],
    "destroy": ["destroy", "full"],
    "attach": ["attach-device", "empty", "/tmp/kill-nvme.xml", "--live"],
    "detach": ["detach-device", "empty", "/tmp/kill-nvme.xml", "--live"],
    "attach_disk": ["attach-device", "empty", "/tmp/kill-disk.xml", "--live"],
    "detach_disk": ["detach-device", "empty", "/tmp/kill-disk.xml", "--live"],
}


def wait_for_guest():
    """It answers requests to unplug from then on."""
    for _ in range(1800):
        with open("/tmp/serial-empty") as f:
            if "guest: waiting" in f.read():
                return
        time.sleep(0.1)
    raise SystemExit("the guest doesn't come up")


def prepare(operation):
    for guest in ("empty", "full"):
        with open("/tmp/serial-" + guest, "w"):
            pass
        os.chmod("/tmp/serial-" + guest, 0o666)
    BEFORE[operation]()


def one_round(rng, times):
    victim = rng.choice(("passthrud", "passthrud", "passthrud", "qemu"))
    operation = rng.choice(sorted(WORDS))
    prepare(operation)
    begin = time.monotonic()
    command = subprocess.Popen(["virsh", *WORDS[operation]], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    at = rng.uniform(0.2, 1.1) * times[operation]
    try:
        command.wait(at)
        hit = False
        times[operation] = (times[operation] + time.monotonic() - begin) / 2
        time.sleep(max(0, begin + at - time.monotonic()))
    except subprocess.TimeoutExpired:
        hit = True
        times[operation] *= 1.02        # as long as none is too late, look later
    if victim == "passthrud":
        with open(PID) as f:
            os.kill(int(f.read()), signal.SIGKILL)
    else:
        for pid in qemus().values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    command.wait(120)
    if victim == "passthrud":
        start_daemon()
    problems = settle()
    if not problems:
        home()
        problems = ["after all guests were destroyed: " + p for p in settle()]
    return {"operation": operation, "victim": victim, "at": round(at, 3), "hit": hit,
            "problems": problems, "stranded": bool(problems)}


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    libvirt.registerErrorHandler(lambda *_: None, None)
    with open("/tmp/kill-nvme.xml", "w") as f:
        f.write(hostdev(NVME))
    with open("/tmp/kill-disk.xml", "w") as f:
        f.write(DISK % DISKS[1])
    os.makedirs("/srv/kills", exist_ok=True)
    shutil.copy("/lab/guest/payload.elf", "/srv/kills")
    for disk in DISKS:
        with open(disk, "wb") as f:
            f.truncate(1 << 20)
        os.chmod(disk, 0o600)
    full = hostdev(NVME) + hostdev(EDU) + DISK % DISKS[0] + TPM
    for guest, devices in (("empty", ""), ("full", full)):
        forget(guest)           # what an earlier run left, if it was itself killed
        connect().defineXML(DOMAIN % (guest, guest, devices))
    times = {}
    for operation, words in WORDS.items():
        prepare(operation)
        begin = time.monotonic()
        subprocess.run(["virsh", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       check=True)
        times[operation] = time.monotonic() - begin
        home()
    status = rounds.main(lambda rng: one_round(rng, times))
    if status == 0:
        for guest in ("empty", "full"):
            forget(guest)
    return status


if __name__ == "__main__":
    sys.exit(main())
