#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hold a PCI function through VFIO as QEMU does, and do nothing with it, inside the lab.

    vfio_hold.py ADDRESS

Says "held" and sleeps. It ignores the kernel's requests to let go, as a guest that hangs does.
"""

import fcntl
import os
import sys
import time

# linux/vfio.h: _IO(';', 100 + n)
SET_CONTAINER, SET_IOMMU, GET_DEVICE_FD = (0x3B00 | 104), (0x3B00 | 102), (0x3B00 | 106)
TYPE1 = 1

address = sys.argv[1]
group_number = os.path.basename(os.readlink("/sys/bus/pci/devices/%s/iommu_group" % address))
container = os.open("/dev/vfio/vfio", os.O_RDWR)
group = os.open("/dev/vfio/" + group_number, os.O_RDWR)
fcntl.ioctl(group, SET_CONTAINER, container.to_bytes(4, "little"))
fcntl.ioctl(container, SET_IOMMU, TYPE1)
device = fcntl.ioctl(group, GET_DEVICE_FD, address.encode() + b"\0")
print("held", flush=True)
time.sleep(600)
