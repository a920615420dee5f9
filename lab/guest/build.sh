#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# build.sh OUT: build the freestanding test guest as OUT (a PVH ELF for -kernel).
set -eu
here=$(cd "$(dirname "$0")" && pwd)/payload
out=$1
cd "$here"
exec "${CC:-cc}" -std=gnu17 -O2 -g0 -m64 -march=x86-64 -mno-red-zone -mgeneral-regs-only -mcmodel=small \
	-ffreestanding -fno-pic -no-pie -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-builtin-memset -fno-builtin-memcpy \
	-Wno-interrupt-service-routine -Wno-unused-command-line-argument -Wall -Wextra -Wconversion -Wshadow -nostdlib -static \
	-Wl,-T,payload.ld -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments \
	start.S io.c interrupt.c pci.c edu.c nvme.c nic.c igbvf.c virtio.c virtio_net.c share.c tpm.c hotplug.c main.c -o "$out"
