# SPDX-License-Identifier: LGPL-2.1-or-later
"""virsh console, on a terminal, to a guest that is rebooted and shut down by its power button."""

import json
import os

import pytest

from virsh_guests import daemon, guests, hostdev     # noqa: F401
from zoo_names import EDU

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

HERE = os.path.dirname(os.path.abspath(__file__))


def test_console_and_power_button(world, daemon, guests):       # noqa: F811
    before = world.snapshot()
    path = guests.write_xml("d1", hostdev(EDU), words="stay")
    # the console in the place of the serial port that goes to a file
    daemon.sh("sed -i \"s#<serial type='file'>.*</serial>#<console type='pty'/>#\" " + path)
    daemon.virsh("define", path)
    script = daemon.lab.push(os.path.join(HERE, "console_session.py"))
    r = daemon.lab.run([script, "d1"], timeout=400)
    assert r.status == 0, r.out + r.err
    told = json.loads(r.out)
    assert told.pop("state") == "running"
    assert told.pop("reason") == "shut off (shutdown)"
    assert all(told.values()), json.dumps(told)
    guests.wait_for(lambda: world.snapshot() == before)


def test_domain_capabilities(daemon):                           # noqa: F811
    """What virt-install and virt-manager ask before they make a definition."""
    daemon.sh("""
        virsh domcapabilities >/tmp/domcaps.xml
        xmllint --noout --relaxng /usr/share/libvirt/schemas/domaincaps.rng /tmp/domcaps.xml""")
