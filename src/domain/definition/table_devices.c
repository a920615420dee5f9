/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of <devices> is supported: table.c, continued. */
#include "domain/definition/rows.h"

#define YES_NO "yes|no"
#define ON_OFF "on|off"
#define UNIT   "unit=b|bytes|KB|k|KiB|MB|M|MiB|GB|G|GiB|TB|T|TiB"
#define U64    "#0-18446744073709551615"

/* A function's address; libvirt writes 0x with all of it, people leave that out. */
#define PCI_ADDRESS "domain=%0-65535 bus=%0-255 slot=%0-31 function=%0-7"
/* One of the host: Linux makes domains above those of the firmware (VMD: 0x10000 and up). */
#define HOST_ADDRESS "type=pci domain=%0-4294967295 bus=%0-255 slot=%0-31 function=%0-7"

#define ROM	"bar=" ON_OFF " file=/ enabled=" YES_NO
#define TEAMING "type!=transient|persistent persistent=~"

/* Devices that sit on the guest's PCI bus, those with a boot order, and all with an alias. */
#define ON_PCI                                                                                      \
	"{hostdev,interface,disk,controller,sound,video,watchdog,memballoon,rng,shmem,input,iommu," \
	"panic,vsock,filesystem}"
#define BOOTABLE "{hostdev,interface,disk,redirdev}"
#define ALIASED                                                                                     \
	"{hostdev,interface,disk,controller,sound,video,watchdog,memballoon,rng,shmem,input,iommu," \
	"panic,serial,console,channel,tpm,redirdev,vsock,filesystem}"
/* What <driver> says of any virtio device, and of those with queues of their own. */
#define VIRTIO_BUS "iommu=" ON_OFF " ats=" ON_OFF " packed=" ON_OFF " page_per_vq=" ON_OFF
#define VIRTIO	   "ioeventfd=" ON_OFF " event_idx=" ON_OFF " " VIRTIO_BUS
#define CHARACTER  "{serial,console,channel}"

const struct supported supported_devices[] = {
	{"devices/emulator", "/", NULL, ONE},

	/* what many have */
	{"devices/" ALIASED "/alias", NULL, "name!=~", ONE},
	{"devices/" ON_PCI "/address", NULL, "*type!=pci|drive|usb|isa|virtio-serial", ONE},
	{"devices/" ON_PCI "/address[pci]", NULL, PCI_ADDRESS " multifunction=" ON_OFF, ONE},
	{"devices/disk/address[drive]", NULL,
	 "controller=#0-255 bus=#0-1 target=#0-255 unit=#0-16383", ONE},
	{"devices/{input,controller,redirdev,hostdev,disk,sound}/address[usb]", NULL,
	 "bus=#0-255 port=~", ONE},
	{"devices/redirdev/address", NULL, "*type!=usb", ONE},
	{"devices/panic/address[isa]", NULL, "iobase=%0-65535", ONE},
	{"devices/{console,channel}/address", NULL, "*type!=virtio-serial", ONE},
	{"devices/{console,channel}/address[virtio-serial]", NULL,
	 "controller=#0-255 bus=#0-0 port=#0-511", ONE},
	{"devices/" BOOTABLE "/boot", NULL, "order!=#1-65535", ONE},
	{"devices/hostdev[pci]/rom", NULL, ROM, ONE},
	{"devices/interface/rom", NULL, ROM, ONE},
	{"devices/hostdev[pci]/teaming", NULL, TEAMING, ONE},
	{"devices/interface/teaming", NULL, TEAMING, ONE},

	/* devices of the host */
	{"devices/hostdev", NULL, "mode=subsystem *type!=pci|usb managed=" YES_NO, MANY},
	{"devices/hostdev/source", NULL, NULL, ONE},
	{"devices/hostdev[pci]/source/address", NULL, HOST_ADDRESS, ONE},
	{"devices/hostdev[pci]/driver", NULL, "name=vfio model=~", ONE},
	/* a running guest's: missing and chosen */
	{"devices/hostdev[usb]/source", NULL,
	 "startupPolicy=mandatory|requisite|optional guestReset=off|uninitialized|all missing=" YES_NO,
	 ONE},
	{"devices/hostdev[usb]/source/{vendor,product}", NULL, "id!=%0-65535", ONE},
	{"devices/hostdev[usb]/source/address", NULL,
	 "type=usb bus!=#1-999 device=#1-999 port=~ chosen=yes", ONE},

	/* networks */
	{"devices/interface", NULL, "*type!=hostdev|user|bridge|network|ethernet|direct", MANY},
	{"devices/interface/mac", NULL, "address!=&mac", ONE},
	{"devices/interface[hostdev]", NULL, "managed=" YES_NO, MANY},
	{"devices/interface[hostdev]/source", NULL, NULL, ONE},
	{"devices/interface[hostdev]/source/address", NULL, HOST_ADDRESS, ONE},
	{"devices/interface[hostdev]/driver", NULL, "name=vfio model=~", ONE},
	/* the card is the host's */
	{"devices/interface[hostdev]/model", NULL, "type!=~", ONE},
	{"devices/interface[hostdev]/vlan", NULL, NULL, ONE},
	{"devices/interface[hostdev]/vlan/tag", NULL, "id!=#0-4095", ONE},
	{"devices/interface[user,bridge,network,ethernet,direct]/model", NULL,
	 "type!=virtio|virtio-net-pci|virtio-transitional|virtio-non-transitional|e1000|"
	 "e1000-82544gc|e1000-82545em|e1000e|igb|rtl8139|vmxnet3|ne2k_pci|pcnet",
	 ONE},
	{"devices/interface[bridge]/source", NULL, "bridge!=~", ONE},
	{"devices/interface[network]/source", NULL, "network!=~ bridge=~", ONE},
	/* a macvtap: the guest's own device on the link of the host's */
	{"devices/interface[direct]/source", NULL, "dev!=~ mode=vepa|bridge|private", ONE},
	{"devices/interface[bridge,network,ethernet,direct]/target", NULL, "dev!=~", ONE},
	{"devices/interface[ethernet]/target", NULL, "managed=no", ONE},
	{"devices/interface[bridge,network,ethernet,direct]/driver", NULL,
	 "name=qemu|vhost queues=#1-64", ONE},
	{"devices/interface[user,bridge,network,ethernet,direct]/driver", NULL,
	 "rx_queue_size=256|512|1024 tx_queue_size=256|512|1024 " VIRTIO, ONE},
	{"devices/interface[user,bridge,network,ethernet,direct]/mtu", NULL, "size!=#68-65535",
	 ONE},
	{"devices/interface[user,bridge,network,ethernet,direct]/link", NULL, "state!=up|down",
	 ONE},

	/* storage */
	{"devices/disk", NULL, "*type!=file|block|nvme|volume device=disk|cdrom", MANY},
	{"devices/disk/driver", NULL,
	 "name=qemu type=raw|qcow2 cache=default|none|writeback|writethrough|directsync|unsafe "
	 "io=threads|native|io_uring discard=ignore|unmap detect_zeroes=off|on|unmap "
	 "error_policy=stop|report|ignore|enospace rerror_policy=stop|report|ignore "
	 "iothread=#1-4294967295 queues=#1-1024 queue_size=#2-1024 " VIRTIO,
	 ONE},
	{"devices/disk[file]/source", NULL, "file!=/", ONE},
	{"devices/disk[block]/source", NULL, "dev!=/", ONE},
	{"devices/disk[volume]/source", NULL, "pool!=? volume!=?", ONE},
	{"devices/disk[nvme]/source", NULL, "type!=pci managed=" YES_NO " namespace!=#1-4294967294",
	 ONE},
	{"devices/disk[nvme]/source/address", NULL, HOST_ADDRESS, ONE},
	{"devices/disk/target", NULL,
	 "dev!=~ bus=virtio|ide|sata|scsi|usb rotation_rate=#1-65534 removable=" ON_OFF, ONE},
	{"devices/disk/{readonly,shareable}", NULL, NULL, ONE},
	{"devices/disk/serial", "~", NULL, ONE},
	{"devices/disk/wwn", "&wwn", NULL, ONE},
	{"devices/disk/blockio", NULL,
	 "logical_block_size=#512-2097152 physical_block_size=#512-2097152", ONE},

	/* directories of the host's */
	{"devices/filesystem", NULL,
	 "type=mount accessmode=passthrough|mapped|squash fmode=#0-7777 dmode=#0-7777 "
	 "multidevs=default|remap|forbid|warn",
	 MANY},
	{"devices/filesystem/driver", NULL, "*type!=path|virtiofs " VIRTIO_BUS, ONE},
	{"devices/filesystem/driver[path]", NULL, "wrpolicy=immediate", ONE},
	{"devices/filesystem/driver[virtiofs]", NULL, "queue=#1-1024", ONE},
	{"devices/filesystem/source", NULL, "dir=/ socket=/", ONE},
	{"devices/filesystem/target", NULL, "dir!=?", ONE},
	{"devices/filesystem/readonly", NULL, NULL, ONE},
	{"devices/filesystem/binary", NULL, "path=/ xattr=" ON_OFF, ONE},
	{"devices/filesystem/binary/cache", NULL, "mode!=none|auto|always|metadata", ONE},
	{"devices/filesystem/binary/sandbox", NULL, "mode!=namespace|chroot", ONE},
	{"devices/filesystem/binary/thread_pool", NULL, "size!=#0-1024", ONE},
	{"devices/filesystem/binary/openfiles", NULL, "max!=#1-4294967295", ONE},

	/* controllers */
	{"devices/controller", NULL, "*type!=pci|usb|ide|sata|scsi|virtio-serial index=#0-255",
	 MANY},
	{"devices/controller[pci]", NULL,
	 "model!=pcie-root|pci-root|pcie-root-port|pcie-to-pci-bridge|pcie-switch-upstream-port|"
	 "pcie-switch-downstream-port|dmi-to-pci-bridge|pci-bridge|pcie-expander-bus",
	 MANY},
	{"devices/controller[pci]/model", NULL,
	 "name!=pcie-root-port|ioh3420|x3130-upstream|xio3130-downstream|pcie-pci-bridge|"
	 "i82801b11-bridge|pci-bridge|pxb-pcie",
	 ONE},
	{"devices/controller[pci]/target", NULL,
	 "chassisNr=#1-255 chassis=#0-255 port=%0-255 busNr=#1-254 hotplug=" ON_OFF, ONE},
	{"devices/controller[pci]/target/node", "#0-127", NULL, ONE},
	{"devices/controller[usb]", NULL,
	 "model=qemu-xhci|nec-xhci|piix3-uhci|piix4-uhci|ehci|pci-ohci|ich9-ehci1|ich9-uhci1|ich9-uhci2|ich9-uhci3|none ports=#1-15",
	 MANY},
	{"devices/controller[usb]/master", NULL, "startport!=#0-15", ONE},
	{"devices/controller[scsi]", NULL, "model=auto|virtio-scsi", MANY},
	{"devices/controller[scsi]/driver", NULL, "queues=#1-1024 iothread=#1-4294967295 " VIRTIO,
	 ONE},
	{"devices/controller[virtio-serial]", NULL, "ports=#1-511 vectors=#0-2048", MANY},

	/* character devices; the life cycle gives a pty its path in the live copy */
	{"devices/serial", NULL, "*type!=pty|unix|file|null", MANY},
	{"devices/console", NULL, "*type!=pty|unix|file|null tty=/", MANY},
	{"devices/channel", NULL, "*type!=pty|unix|file|null|spicevmc", MANY},
	{"devices/" CHARACTER "[pty]/source", NULL, "path!=/", ONE},
	{"devices/" CHARACTER "[unix]/source", NULL, "mode=bind|connect path=/", ONE},
	{"devices/" CHARACTER "[file]/source", NULL, "path!=/ append=" ON_OFF, ONE},
	{"devices/" CHARACTER "/log", NULL, "file!=/ append=" ON_OFF, ONE},
	{"devices/serial/target", NULL, "type=isa-serial port=#0-3", ONE},
	{"devices/serial/target/model", NULL, "name!=isa-serial", ONE},
	{"devices/console/target", NULL, "type=serial|virtio port=#0-511", ONE},
	{"devices/channel/target", NULL, "type!=virtio name=~ state=connected|disconnected", ONE},

	/* what people look at and touch */
	{"devices/graphics", NULL, "*type!=vnc|spice|egl-headless", MANY},
	{"devices/graphics[vnc,spice]", NULL,
	 "port=&port autoport=" YES_NO " listen=~ keymap=~ passwd=? passwdValidTo=&time", MANY},
	{"devices/graphics[vnc]", NULL, "socket=/ sharePolicy=allow-exclusive|force-shared|ignore",
	 MANY},
	{"devices/graphics[vnc,spice]/listen", NULL, "*type!=address|none|socket", ONE},
	{"devices/graphics[vnc,spice]/listen[address]", NULL, "address=~", ONE},
	{"devices/graphics[vnc,spice]/listen[socket]", NULL, "socket=/", ONE},
	{"devices/graphics[spice]/image", NULL, "compression!=auto_glz|auto_lz|quic|glz|lz|off",
	 ONE},
	{"devices/graphics[spice]/{jpeg,zlib}", NULL, "compression!=auto|never|always", ONE},
	{"devices/graphics[spice]/playback", NULL, "compression!=" ON_OFF, ONE},
	{"devices/graphics[spice]/streaming", NULL, "mode!=filter|all|off", ONE},
	{"devices/graphics[spice]/clipboard", NULL, "copypaste!=" YES_NO, ONE},
	{"devices/graphics[spice]/mouse", NULL, "mode!=server|client", ONE},
	{"devices/graphics[spice]/filetransfer", NULL, "enable!=" YES_NO, ONE},
	{"devices/graphics[spice]/gl", NULL, "enable!=" YES_NO, ONE},
	/* a running guest's: the one that was chosen */
	{"devices/graphics[spice,egl-headless]/gl", NULL, "rendernode=/", ONE},
	{"devices/video", NULL, NULL, MANY},
	{"devices/video/model", NULL,
	 "type!=vga|qxl|virtio|cirrus|bochs|ramfb|none primary=" YES_NO
	 " heads=#1-16 vram=#1024-4194304 vram64=#0-4194304 ram=#1024-4194304 vgamem=#1024-524288",
	 ONE},
	{"devices/video/model/acceleration", NULL, "accel3d!=" YES_NO, ONE},
	{"devices/video/model/resolution", NULL, "x!=#1-65535 y!=#1-65535", ONE},
	{"devices/input", NULL, "*type!=tablet|mouse|keyboard|evdev bus=usb|virtio|ps2", MANY},
	{"devices/input[evdev]/source", NULL,
	 "dev!=/ grab=all repeat=" ON_OFF
	 " grabToggle=ctrl-ctrl|alt-alt|shift-shift|meta-meta|scrolllock|ctrl-scrolllock",
	 ONE},
	{"devices/redirdev", NULL, "bus!=usb type!=spicevmc", MANY},
	{"devices/sound", NULL, "*model!=ich9|ich6|ac97|usb|virtio", MANY},
	{"devices/sound/codec", NULL, "type!=duplex|micro|output", MANY},
	{"devices/sound/audio", NULL, "id!=#1-255", ONE},
	{"devices/audio", NULL,
	 "id!=#1-255 *type!=none|spice|alsa|oss|pulseaudio|pipewire|jack timerPeriod=#1-4294967295",
	 MANY},
	{"devices/audio[pulseaudio]", NULL, "serverName=?", MANY},
	{"devices/audio[pipewire]", NULL, "runtimeDir=/", MANY},
	{"devices/audio/{input,output}", NULL,
	 "mixingEngine=" YES_NO " fixedSettings=" YES_NO
	 " voices=#1-4294967295 bufferLength=#1-4294967295",
	 ONE},
	{"devices/audio/{input,output}/settings", NULL,
	 "frequency=#1-4294967295 channels=#1-4294967295 format=s8|u8|s16|u16|s32|u32|f32", ONE},
	{"devices/audio[pulseaudio,pipewire]/{input,output}", NULL,
	 "name=? streamName=? latency=#0-4294967295", ONE},
	{"devices/audio[alsa]/{input,output}", NULL, "dev=?", ONE},
	{"devices/audio[oss]/{input,output}", NULL, "dev=? tryPoll=" YES_NO, ONE},
	{"devices/audio[jack]/{input,output}", NULL,
	 "serverName=? clientName=? connectPorts=? exactName=" YES_NO, ONE},

	/* the rest */
	{"devices/tpm", NULL, "model=tpm-crb|tpm-tis", ONE},
	{"devices/tpm/backend", NULL, "*type!=passthrough|emulator", ONE},
	{"devices/tpm/backend[emulator]", NULL, "version=2.0 persistent_state=" YES_NO, ONE},
	{"devices/tpm/backend[emulator]/profile", NULL,
	 "name=~ source=~ remove_disabled=check|fips-host", ONE},
	{"devices/tpm/backend[passthrough]/device", NULL, "path!=/", ONE},
	{"devices/rng", NULL, "model!=virtio", MANY},
	{"devices/{rng,memballoon,vsock}/driver", NULL, VIRTIO_BUS, ONE},
	{"devices/rng/rate", NULL, "bytes!=#1-4294967295 period=#1-4294967295", ONE},
	{"devices/rng/backend", NULL, "*model!=random|builtin", ONE},
	{"devices/rng/backend[random]", "^", NULL, ONE},
	{"devices/watchdog", NULL,
	 "model!=itco|i6300esb action=reset|shutdown|poweroff|pause|none|inject-nmi", MANY},
	{"devices/memballoon", NULL,
	 "model!=virtio|none autodeflate=" ON_OFF " freePageReporting=" ON_OFF, ONE},
	{"devices/memballoon/stats", NULL, "period!=#0-2147483647", ONE},
	{"devices/shmem", NULL, "name!=~", MANY},
	{"devices/shmem/model", NULL, "type!=ivshmem-plain", ONE},
	{"devices/shmem/size", U64, UNIT, ONE},
	{"devices/iommu", NULL, "*model!=intel|virtio", ONE},
	{"devices/iommu[intel]/driver", NULL,
	 "intremap=" ON_OFF " caching_mode=" ON_OFF " eim=" ON_OFF " iotlb=" ON_OFF
	 " aw_bits=#39-64",
	 ONE},
	{"devices/panic", NULL, "model=isa|hyperv|pvpanic", MANY},
	{"devices/vsock", NULL, "model=virtio", ONE},
	{"devices/vsock/cid", NULL, "auto=" YES_NO " address=#3-4294967294", ONE},
};

const size_t supported_devices_count = sizeof(supported_devices) / sizeof(supported_devices[0]);
