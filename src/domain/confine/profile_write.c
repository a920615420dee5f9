/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of a guest's AppArmor profile (apparmor.d(5)). It is complete: no file of the host's is
 * needed to compile it, but an administrator may add to it.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "domain/confine/run_files.h"
#include "domain/confine/profile.h"
#include "base/safe_path.h"
#include "domain/store/store.h"
#include "domain/definition/device.h"
#include "domain/definition/graphics.h"
#include "domain/definition/xml_node.h"

/*
 * What every QEMU needs: its libraries, modules, firmware, and what the C library and those of
 * displays read. All of it is the distribution's, and readable for everybody.
 */
static const char common[] =
	"  /usr/** r,\n"
	"  /{,usr/,usr/local/}lib{,32,64}/** mr,\n"
	"  /run/qemu/** mr,\n"
	"  /etc/{ld.so.cache,ld.so.preload,nsswitch.conf,passwd,group,localtime,timezone} r,\n"
	"  /etc/{hosts,host.conf,resolv.conf,gai.conf,services,protocols} r,\n"
	"  /etc/{ssl,gnutls,crypto-policies,pki,sasl2,qemu,fonts}/{,**} r,\n"
	"  /run/systemd/resolve/* r,\n"
	"  /proc/{cpuinfo,meminfo,stat,filesystems,devices,version,uptime,loadavg,mounts} r,\n"
	"  /proc/sys/{kernel,vm,crypto}/** r,\n"
	"  owner /proc/[0-9]*/** r,\n"
	/* who has ended it, for its log */
	"  /proc/[0-9]*/cmdline r,\n"
	"  owner /proc/[0-9]*/{,task/[0-9]*/}comm rw,\n"
	"  /sys/{bus,class}/{,**} r,\n"
	"  /sys/{devices,module}/** r,\n"
	"  /sys/kernel/{mm,iommu_groups}/** r,\n"
	"  /dev/{null,zero,full,ptmx} rw,\n"
	"  /dev/{random,urandom} r,\n"
	"  /dev/pts/[0-9]* rw,\n"
	/* memory without a name */
	"  /{memfd:,anon_hugepage}* rw,\n"
	/* and that of huge pages, which has the name of its file system's root */
	"  owner / rw,\n"
	"  network inet,\n"
	"  network inet6,\n"
	"  network unix,\n"
	"  unix,\n"
	/* the host ends it, and sees what it has open */
	"  signal (receive),\n"
	"  ptrace (readby, tracedby),\n";

/* The daemon opens taps and vhost, but AppArmor also checks inherited descriptors. */
static const char networks[] = "  /dev/net/tun rw,\n"
			       "  /dev/vhost-net rw,\n"
			       "  /dev/tap[0-9]* rw,\n";

/* Servers of sound, and what their libraries read; ALSA's nodes are among what QEMU reaches. */
static const char sounds[] = "  /etc/{pulse,pipewire,alsa}/{,**} r,\n"
			     "  /etc/asound.conf r,\n"
			     "  /run/user/[0-9]*/{pulse/native,pipewire-[0-9]*} rw,\n"
			     "  owner /dev/shm/{pulse-shm-*,jack*,jack*/**} rwk,\n";

/*
 * libusb looks for devices before it takes the one that QEMU names, and listens for others
 * (libusb_init(): there is no way to open one device without).
 */
static const char usb[] = "  /dev/ r,\n"
			  "  /dev/bus/usb/{,[0-9]*/} r,\n"
			  "  /etc/udev/udev.conf r,\n"
			  "  /run/udev/data/* r,\n"
			  "  network netlink raw,\n";

/* Quoted, and with what is a pattern made plain; false for what can't be said. */
static bool put_quoted(FILE *out, const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
		if (strchr("\\\"*?[]{}^", *text))
			(void)fputc('\\', out);
		(void)fputc(*text, out);
	}
	return true;
}

static int put_rule(FILE *out, const char *path, const char *behind, const char *rights,
		    struct pt_error *err)
{
	bool is_good;

	(void)fputs("  \"", out);
	is_good = put_quoted(out, path);
	(void)fprintf(out, "%s\" %s,\n", behind, rights);
	if (!is_good)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "%s: an AppArmor profile can't contain a path with control "
			       "characters; rename the file",
			       path);
	return 0;
}

/* What Mesa looks for: docs.mesa3d.org/drirc.html, and GPUs by their devices. */
static const char gl[] = "  /dev/dri/ r,\n"
			 "  /sys/dev/char/{,**} r,\n"
			 "  /etc/{drirc,glvnd/{,**}} r,\n";

static int put_device(FILE *out, const xmlNode *device, struct pt_error *err)
{
	struct host_usb host_usb;

	if (node_is(device, "interface") && !node_has(device, "type", "hostdev") &&
	    !node_has(device, "type", "user"))
		(void)fputs(networks, out);
	if (node_is(device, "vsock"))
		(void)fputs("  /dev/vhost-vsock rw,\n", out);
	if (device_is_sound(device))
		(void)fputs(sounds, out);
	if (node_is(device, "graphics") && graphics_has_gl(device))
		(void)fputs(gl, out);
	if (device_host_usb((xmlNode *)(uintptr_t)device, &host_usb, NULL) == 1)
		(void)fputs(usb, out);
	if (node_is(device, "shmem") && node_attribute(device, "name")) {
		char path[PATH_MAX];

		(void)text_format(path, sizeof(path), "/dev/shm/%s",
				  node_attribute(device, "name"));
		return put_rule(out, path, "", "rwk", err);
	}
	return 0;
}

/* Its log, its own folder, and the sockets that it inherits. */
static int put_own(FILE *out, const struct definition *live, struct pt_error *err)
{
	static const struct {
		const char *directory, *suffix, *behind, *rights;
	} rules[] = {
		{GUEST_LOGS, ".log", "", "w"},
		{"/" STORE_LIVE, ".d", "/{,**}", "rwk"},
		{"/" STORE_LIVE, ".commands", "", "rw"},
		{"/" STORE_LIVE, ".events", "", "rw"},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(rules) / sizeof(rules[0]); i++) {
		char path[STORE_NAME + 64];

		(void)text_format(path, sizeof(path), "%s/%s%s", rules[i].directory,
				  definition_name(live), rules[i].suffix);
		r = put_rule(out, path, rules[i].behind, rules[i].rights, err);
	}
	return r;
}

static int put_all(struct pt_host *host, FILE *out, const struct definition *live,
		   const struct reach *reach, struct pt_error *err)
{
	const char *emulator = definition_emulator(live), *label = profile_of(live);
	AUTO(auto_safe_path) struct safe_path real = SAFE_PATH_CLOSED;
	const xmlNode *device = node_child(node_child(definition_root(live), "devices"), NULL);
	bool is_there;
	int r;

	(void)fprintf(out, "profile \"%s\" flags=(attach_disconnected) {\n%s", label, common);
	(void)fprintf(out, "  signal peer=\"%s\",\n", label);
	is_there = safe_path_open(host->root_fd, emulator, &real) == 0 && real.fd >= 0;
	r = put_rule(out, is_there ? real.real : emulator, "", "mr", err);
	if (!r)
		r = put_own(out, live, err);
	for (size_t i = 0; r == 0 && i < reach->count; i++) {
		const struct reach_file *file = &reach->files[i];

		/* words for QEMU may share a directory with the guest */
		r = put_rule(out, file->path, S_ISDIR(file->st.st_mode) ? "/{,**}" : "",
			     file->is_written ? "rwk" : "rk", err);
	}
	for (; r == 0 && device; device = node_next(device, NULL))
		r = put_device(out, device, err);
	(void)fputs("  include if exists <local/passthru-guest>\n}\n", out);
	return r;
}

int profile_write(struct pt_host *host, const struct definition *live, const struct reach *reach,
		  char **ret_text, struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return pt_fail_memory(err);
	r = put_all(host, out, live, reach, err);
	if (fclose(out) != 0 && r == 0)
		r = pt_fail_memory(err);
	if (r < 0)
		return r;
	*ret_text = TAKE_POINTER(text);
	return 0;
}
