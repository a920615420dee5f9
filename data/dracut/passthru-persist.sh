#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Before udev loads the first driver.
passthru persist --apply || :
