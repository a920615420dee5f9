# SPDX-License-Identifier: LGPL-2.1-or-later
"""Elements of other people's definitions, in guests that run."""

import re

import pytest

from test_guests_confine import define_edited
from virsh_guests import GUEST_BLOCKS, HOST_BLOCK, daemon, guests, hostdev     # noqa: F401
from zoo_names import EDU, NVME

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

PC = {"machine='q35'": "machine='pc'"}


def test_machine_pc(world, daemon, guests):     # noqa: F811
    """With conventional PCI: a device from the start, another one while it runs, both back."""
    before = world.snapshot()
    crc = guests.write_host_data(NVME)
    g = define_edited(guests, "p1", hostdev(NVME), "stay nvme-read=%d,%d" % (HOST_BLOCK, GUEST_BLOCKS), PC)
    assert "model='pci-root'" in daemon.virsh("dumpxml", "p1")
    g.start()
    g.wait("guest: waiting", 120)
    assert "dma=ok crc32=" + crc in g.serial() and "8086:1237" in g.serial(), g.serial()
    path = guests.write_device(hostdev(EDU))
    daemon.virsh("attach-device", "p1", path, "--live")
    assert world.driver(EDU) == "vfio-pci"
    # the test guest hears of it on q35 only
    daemon.virsh("destroy", "p1")
    assert world.snapshot() == before and guests.read_host_data(NVME) == crc


def test_sizes_are_kib(daemon, guests):     # noqa: F811
    """For clients that change the number and leave the unit alone, as virt-xml."""
    g = guests.define("p2")
    xml = daemon.virsh("dumpxml", g.name)
    assert "<memory unit='KiB'>65536</memory>" in xml and "<currentMemory unit='KiB'>65536</currentMemory>" in xml
    daemon.sh("virsh dumpxml p2 | sed 's/>65536</>131072</' >/tmp/p2.xml; virsh define /tmp/p2.xml")
    assert re.search(r"Max memory: +131072 KiB", daemon.virsh("dominfo", "p2"))


def test_machine_is_kept(daemon, guests):     # noqa: F811
    """An alias is another machine after an upgrade of QEMU; so guests have the name behind it."""
    own = re.search(r"q35 .*alias of (pc-q35-[0-9.]+)", daemon.sh("qemu-system-x86_64 -machine help").out)[1]
    g = guests.define("p5", words="stay expect-none")
    assert "machine='%s'" % own in daemon.virsh("dumpxml", "p5")
    g.start()
    assert b"\0-machine\0" + own.encode() in daemon.lab.run(["cat", "/proc/%d/cmdline" % g.pid()], text=False).out
    assert re.search("<machine canonical='%s' maxCpus='[0-9]+'>q35</machine>" % own, daemon.virsh("capabilities"))
    assert "<machine>%s</machine>" % own in daemon.virsh("domcapabilities")
    words = daemon.sh("virsh dumpxml p5 --inactive | sed s/%s/pc-q35-77.7/ >/tmp/p5.xml; virsh define /tmp/p5.xml 2>&1"
                      % own, check=False).out
    assert "does not support machine type 'pc-q35-77.7'" in words and "<type machine='%s'>" % own in words, words
    # one that was stored before
    daemon.virsh("destroy", "p5")
    daemon.stop()
    daemon.sh("sed -i s/%s/q35/ /etc/passthru/guests/p5.xml" % own)
    daemon.start()
    assert "machine='q35'" in daemon.virsh("dumpxml", "p5")
    daemon.sh("virsh dumpxml p5 >/tmp/p5.xml; virsh define /tmp/p5.xml")
    assert "machine='%s'" % own in daemon.virsh("dumpxml", "p5")


def test_memory_it_has(daemon, guests):     # noqa: F811
    """What the guest gave back, and not what it was asked for: the test guest has no driver for it."""
    g = define_edited(guests, "p6", "", "stay expect-none", {
        "model='none'": "model='virtio'", "</vcpu>": "</vcpu><currentMemory unit='MiB'>48</currentMemory>"})
    assert re.search("Used memory: +49152 KiB", daemon.virsh("dominfo", "p6"))
    g.start()
    assert re.search("Used memory: +65536 KiB", daemon.virsh("dominfo", "p6"))
    assert "<currentMemory unit='KiB'>65536<" in daemon.virsh("dumpxml", "p6")
    assert "<currentMemory unit='KiB'>49152<" in daemon.virsh("dumpxml", "p6", "--inactive")
    daemon.stop()
    daemon.start()
    assert "<currentMemory unit='KiB'>65536<" in daemon.virsh("dumpxml", "p6")


def test_volume_of_a_pool(daemon, guests):     # noqa: F811
    """Of libvirt's, by name: lent as any file, and taken out by what virsh calls it."""
    disk = "<disk type='volume'><source pool='lab' volume='%s'/><target dev='vda' bus='virtio'/></disk>"
    daemon.sh("mkdir -p /etc/libvirt/storage /srv/pool; truncate -s 1M '/srv/pool/a-b.img'; cat >/etc/libvirt/storage/lab.xml "
              "<<'END'\n<pool type='dir'><name>lab</name><target><path>/srv/pool</path></target></pool>\nEND")
    try:
        g = guests.define("p7", disk % "a-b.img", words="stay expect-none")
        assert "<source pool='lab' volume='a-b.img'/>" in daemon.virsh("dumpxml", "p7")
        g.start()
        assert g.access("/srv/pool/a-b.img") == "rw-" and "/srv/pool/a-b.img" in daemon.virsh("domblklist", "p7")
        g.wait("guest: waiting")
        daemon.virsh("detach-disk", "p7", "vda", "--persistent")
        assert "<disk" not in daemon.virsh("dumpxml", "p7") + daemon.virsh("dumpxml", "p7", "--inactive")
        assert g.access("/srv/pool/a-b.img") == ""
        guests.define("p8", disk % "none")
        assert "no storage vol with matching name 'none' in the pool 'lab'" in daemon.virsh_fails("start", "p8")
    finally:
        daemon.sh("rm -rf /etc/libvirt/storage/lab.xml /srv/pool")


def test_schedulers(daemon, guests):     # noqa: F811
    """Real-time for its processor, idle for QEMU itself."""
    sched = "<cputune><vcpusched vcpus='0' scheduler='fifo' priority='3'/><emulatorsched scheduler='batch'/></cputune>"
    g = define_edited(guests, "p3", "", "stay expect-none", {"<os>": sched + "<os>"})
    g.start()
    g.wait("guest: waiting", 120)
    lines = daemon.sh("for t in /proc/%d/task/*; do cat $t/stat; done" % g.pid()).out.splitlines()
    threads = [(int(line.split()[0]), line.partition("(")[2].rpartition(")")[0],
                [int(n) for n in line.rpartition(")")[2].split()[37:39]]) for line in lines]
    # priority and policy of sched(7): FIFO is 1, BATCH 3
    assert [how for _, name, how in threads if name.startswith("CPU 0")] == [[3, 1]], threads
    assert [how for thread, _, how in threads if thread == g.pid()] == [[0, 3]], threads
    daemon.virsh("destroy", "p3")


def test_booted_by_its_place(daemon, guests):     # noqa: F811
    """What <os> says reaches QEMU as the devices' order, which is all that UEFI reads."""
    daemon.sh("truncate -s 1M /tmp/p4")
    disk = "<disk type='file'><source file='/tmp/p4'/><target dev='vda'/></disk>"
    nic = "<interface type='user'><model type='virtio'/></interface>"
    g = define_edited(guests, "p4", disk + nic, "stay", {"</os>": "<boot dev='network'/><boot dev='hd'/></os>"})
    g.start()
    line = daemon.sh("tr '\\0' '\\n' </proc/%d/cmdline" % g.pid()).out
    assert re.search(r'"virtio-net-pci".*"bootindex":1\b', line) and re.search(r'"virtio-blk-pci".*"bootindex":2\b', line)
    assert not re.search(r"^order=", line, re.M)
    daemon.virsh("destroy", "p4")


def test_vsock(daemon, guests):     # noqa: F811
    """Each guest has an address of its own, that the kernel knows it by."""
    daemon.sh("modprobe vhost_vsock")
    chosen = define_edited(guests, "p5", "<vsock model='virtio'><cid auto='yes'/></vsock>", "stay expect-none", {})
    chosen.start()
    cid = re.search(r"<cid auto='yes' address='(\d+)'/>", daemon.virsh("dumpxml", "p5"))[1]
    assert "<cid auto='yes'/>" in daemon.virsh("dumpxml", "p5", "--inactive")
    line = daemon.sh("tr '\\0' '\\n' </proc/%d/cmdline" % chosen.pid()).out
    assert re.search(r'"vhost-vsock-pci".*"guest-cid":%s,"vhostfd":' % cid, line), line
    said = "<vsock model='virtio'><cid auto='no' address='%s'/></vsock>"
    guests.define("p6", devices=said % cid, words="stay expect-none")
    assert "another guest has the address " + cid in daemon.virsh_fails("start", "p6")
    daemon.virsh("destroy", "p5")
    daemon.virsh("start", "p6")
    assert "1af4:1053" in daemon.sh("until grep -q 'guest: ' /tmp/serial-p6; do sleep 0.5; done; cat /tmp/serial-p6").out
    daemon.virsh("destroy", "p6")


def test_drawn_by_the_host(daemon, guests):     # noqa: F811
    """By a GPU of the host, whose node it is lent as a file; the guest sees a card that draws."""
    daemon.sh("modprobe vgem; for n in $(seq 50); do [ -c /dev/dri/renderD128 ] && exit; sleep 0.1; done; exit 1")
    video = "<video><model type='virtio'><acceleration accel3d='yes'/></model></video>"
    g = guests.define("p9", "<graphics type='vnc'><listen type='none'/></graphics><graphics type='egl-headless'/>" + video,
                      words="stay expect-none")
    before = daemon.sh("getfacl -nps /dev/dri/renderD128").out
    g.start()
    try:
        assert "<gl rendernode='/dev/dri/renderD128'/>" in daemon.virsh("dumpxml", "p9")
        assert g.access("/dev/dri/renderD128") == "rw-"
        assert "/dev/dri/renderD128" in daemon.sh("ls -l /proc/%d/fd" % g.pid()).out
        assert "1af4:1050" in daemon.sh("until grep -q 'all ok' /tmp/serial-p9; do sleep 0.5; done; cat /tmp/serial-p9").out
    finally:
        daemon.virsh("destroy", "p9")
    assert daemon.sh("getfacl -nps /dev/dri/renderD128").out == before
