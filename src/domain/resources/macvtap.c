/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/macvtap.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/definition/device.h"
#include "domain/definition/mac.h"
#include "domain/definition/xml_node.h"
#include "domain/store/store.h"

bool macvtap_is(const xmlNode *interface)
{
	return node_is(interface, "interface") && node_has(interface, "type", "direct");
}

int macvtap_describe(const xmlNode *interface, struct machine_tap *tap, struct pt_error *err)
{
	const char *name = node_get(interface, "target@dev");
	const char *mode = node_get(interface, "source@mode");
	uint64_t mtu = 0;

	if (name)
		return pt_fail(
			err, PT_INVALID, EOPNOTSUPP,
			"domain/devices/interface/target@dev='%.32s': passthrud itself names "
			"the macvtaps that it makes (line %ld); leave <target> out",
			name, xmlGetLineNo(interface));
	if (!mac_parse(node_get(interface, "mac@address"), tap->mac))
		return pt_fail(err, PT_INVALID, EINVAL,
			       "domain/devices/interface has no MAC address (line %ld)",
			       xmlGetLineNo(interface));
	(void)text_copy(tap->name, sizeof(tap->name), MACVTAP_PREFIX "%d");
	(void)node_number(node_child(interface, "mtu"), "size", 65535, &mtu);
	tap->mtu = (unsigned int)mtu;
	tap->has_mac = true;
	tap->link = node_get(interface, "source@dev");
	tap->mode = mode ? mode : "vepa"; /* libvirt's default */
	return 0;
}

/* "passthru12" */
static bool is_ours(const char *name)
{
	const char *number = name + strlen(MACVTAP_PREFIX);

	return strncmp(name, MACVTAP_PREFIX, strlen(MACVTAP_PREFIX)) == 0 && *number &&
	       strspn(number, "0123456789") == strlen(number);
}

static void remove_named(struct pt_host *host, const char *name)
{
	int r = machine_of(host)->remove_macvtap(host, name);

	if (r < 0)
		host_log(host, PT_LOG_WARNING, "can't remove macvtap %s: %s", name, strerror(-r));
}

void macvtap_remove(struct pt_host *host, const struct definition *live, const xmlNode *device)
{
	const xmlNode *at = node_find(definition_root(live), "devices/interface");

	for (; at; at = node_next(at, "interface")) {
		const char *name = node_get(at, "target@dev");

		if (macvtap_is(at) && (!device || at == device) && name && is_ours(name))
			remove_named(host, name);
	}
}

/* ---- sweeping ---- */

static int find_name(void *context, const struct store_live *record)
{
	AUTO(auto_definition) struct definition *live = NULL;
	const xmlNode *at;

	/* of what can't be read, nothing is removed */
	if (definition_parse(record->xml, DEFINITION_LIVE, &live, NULL) < 0)
		return -EBADMSG;
	at = node_find(definition_root(live), "devices/interface");
	for (; at; at = node_next(at, "interface"))
		if (macvtap_is(at) && node_says(at, "target@dev", context))
			return 1;
	return 0;
}

void macvtap_sweep(struct pt_host *host)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;

	(void)io_open_directory_at(host->root_fd, "sys/class/net", &dir);
	while (dir && (entry = readdir(dir))) {
		char name[IFNAMSIZ];

		if (!is_ours(entry->d_name) || !text_copy(name, sizeof(name), entry->d_name) ||
		    store_each_other(host, "", find_name, name) != 0)
			continue;
		host_log(host, PT_LOG_NOTICE, "macvtap %s belongs to no running guest: removed",
			 name);
		remove_named(host, name);
	}
}
