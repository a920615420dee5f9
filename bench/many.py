#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""passthrud with a thousand functions, a thousand connections and a hundred clients at once.

    bench/many.py [BUILD]

Runs on this machine, without the lab, against a made-up tree of virtual functions: nothing
of the machine is touched. Ends with status 1 when an answer is wrong or missing.
"""

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import libvirt

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FUNCTIONS, CONNECTIONS, CLIENTS = 1000, 1000, 100


def make_tree(root):
    devices = root + "/sys/bus/pci/devices"
    os.makedirs(devices)
    for n in range(FUNCTIONS):
        address = "0000:%02x:%02x.%d" % (n // 256 + 1, n // 8 % 32, n % 8)
        path = "%s/sys/devices/pci0000:00/%s" % (root, address)
        group = "%s/sys/kernel/iommu_groups/%d/devices" % (root, n)
        os.makedirs(path)
        os.makedirs(group)
        os.symlink(path, group + "/" + address)
        os.symlink("../../../kernel/iommu_groups/%d" % n, path + "/iommu_group")
        os.symlink("../../../devices/pci0000:00/" + address, devices + "/" + address)
        config = bytearray(256)
        # ids, command, status with capabilities, class, header type; PCI Express at 0x40
        struct.pack_into("<HHHHI", config, 0, 0x1b36, 0x0010, 6, 0x10, 0x01080200)
        config[0x34] = 0x40
        struct.pack_into("<BBHIHHIHH", config, 0x40, 0x10, 0, 2, 0, 0, 0, 0x11, 0, 0x11)
        files = {"uevent": "DRIVER=nvme\nPCI_CLASS=10802\nPCI_ID=1B36:0010\n"
                           "PCI_SUBSYS_ID=1AF4:1100\n", "numa_node": "0\n",
                 "current_link_width": "1\n", "current_link_speed": "2.5 GT/s PCIe\n"}
        for name, text in files.items():
            with open(path + "/" + name, "w") as f:
                f.write(text)
        with open(path + "/config", "wb") as f:
            f.write(config)


def resident(process):
    with open("/proc/%d/status" % process.pid) as f:
        text = f.read()
    return ", ".join("%s %.1f MiB" % (name, int(kib) / 1024)
                     for name, kib in re.findall(r"(VmRSS|RssAnon|VmHWM):\s+(\d+)", text))


def call(procedure, *words):
    """A frame of libvirt's protocol with a payload of these words."""
    return struct.pack(">%dI" % (7 + len(words)), 28 + 4 * len(words), 0x20008086, 1, procedure,
                       0, 1, 0, *words)


def virsh(uri, failures, times):
    begin = time.monotonic()
    r = subprocess.run(["virsh", "-c", uri, "nodedev-list", "--cap", "pci"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    times.append(time.monotonic() - begin)
    if r.returncode or len(r.stdout.split()) != FUNCTIONS:
        failures.append(r.stderr)


def run(build, folder):
    path = folder + "/sock"
    uri = "qemu+unix:///system?socket=" + path
    daemon = subprocess.Popen([build + "/bench/bench-serve", folder + "/root", path])
    failures = []
    while not os.path.exists(path + "-ro"):
        time.sleep(0.01)
    print("idle: " + resident(daemon))
    connection = libvirt.open(uri)
    devices = connection.listAllDevices(2)
    for round_ in range(2):
        begin = time.monotonic()
        documents = [d.XMLDesc() for d in devices]
        print("XML of %d: %.0f ms" % (len(documents), (time.monotonic() - begin) * 1e3))
    if len(devices) != FUNCTIONS or "<product id='0x0010'" not in documents[-1]:
        failures.append("a list or a document is wrong")
    print("after it: " + resident(daemon))
    time.sleep(12)                          # threads and what they hold go when they are idle
    print("12 s later: " + resident(daemon))

    others = []
    for _ in range(CONNECTIONS - 1):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.sendall(call(1, 0, 0))                # CONNECT_OPEN
        others.append(s)
    for s in others:
        if len(s.recv(4096)) != 28:
            failures.append("a connection is refused")
    begin = time.monotonic()
    connection.listAllDevices(2)
    print("%d connections: a list takes %.1f ms; %s" % (
        CONNECTIONS, (time.monotonic() - begin) * 1e3, resident(daemon)))
    times = []
    threads = [threading.Thread(target=virsh, args=(uri, failures, times))
               for _ in range(CLIENTS)]
    begin = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("%d virsh at once beside them: %.1f s for all, the slowest %.1f s; %s" % (
        CLIENTS, time.monotonic() - begin, max(times), resident(daemon)))
    # half of them die in the middle of a message, half with a call under way
    for n, s in enumerate(others):
        s.send(b"\0\0" if n % 2 else call(285, 1, 0))     # LIST_ALL_NODE_DEVICES
        s.close()
    connection.listAllDevices(2)
    time.sleep(1)
    left = len(os.listdir("/proc/%d/fd" % daemon.pid))
    print("all but one gone: %d descriptors; %s" % (left, resident(daemon)))
    if left > 40:
        failures.append("descriptors are left")
    time.sleep(12)
    print("12 s later: " + resident(daemon))
    connection.close()
    daemon.terminate()
    daemon.wait()
    return failures


def main():
    build = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else TOP + "/build"
    folder = tempfile.mkdtemp(prefix="passthru-many-")
    try:
        make_tree(folder + "/root")
        failures = run(build, folder)
    finally:
        shutil.rmtree(folder)
    for f in failures:
        print("failed: " + f, file=sys.stderr)
    return 1 if failures else 0


sys.exit(main())
