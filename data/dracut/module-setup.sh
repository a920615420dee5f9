#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Puts passthru into the initramfs when devices are persisted: an initramfs loads drivers too.

check() {
	compgen -G "${dracutsysrootdir-}/etc/passthru/devices.d/*.json" >/dev/null || return 255
	require_binaries passthru || return 1
	return 0
}

installkernel() {
	local driver

	while read -r driver; do
		hostonly='' instmods "$driver"
	done < <(sed -n 's/^ *"driver": *"\([A-Za-z0-9_-]*\)",*$/\1/p' \
		"${dracutsysrootdir-}"/etc/passthru/devices.d/*.json | sort -u)
}

install() {
	inst_multiple passthru modprobe /etc/passthru/devices.d/*.json
	# the hook runs before udev is started, in a systemd initramfs too
	inst_hook pre-udev 10 "$moddir/passthru-persist.sh"
}
