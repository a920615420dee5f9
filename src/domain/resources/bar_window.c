/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/bar_window.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <passthru/group.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/definition/topology.h"
#include "domain/definition/xml_node.h"
#include "pci/bars.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

#define QEMU_ADDRESS_BITS 40 /* target/i386: TCG_PHYS_ADDR_BITS */
#define OVMF_APERTURE	  (32 * GIB)

/* Below 4 GiB there is memory too, and what is above begins after it: never more than this. */
#define HOLE (4 * GIB)

AUTO_DEFINE(snapshot, struct pt_snapshot *, pt_snapshot_free)

static uint64_t round_up(uint64_t size)
{
	uint64_t power = 1;

	while (power < size && power < UINT64_MAX / 2)
		power <<= 1;
	return size ? power : 0;
}

uint64_t bar_window_need(struct pt_host *host, const struct pt_address *device)
{
	struct pt_bar bars[BARS], rom;
	uint64_t sum = 0;
	size_t i;

	bars_read(host, device, bars, &rom);
	for (i = 0; i < BARS; i++)
		if (bars[i].is_64bit && bars[i].is_prefetchable && bars[i].size < UINT64_MAX / 16)
			sum += bars[i].size;
	return round_up(sum);
}

/* ---- address bits ---- */

/* "address sizes	: 46 bits physical, 48 bits virtual" */
static unsigned int host_bits(struct pt_host *host)
{
	AUTO_FREE char *text = NULL;
	unsigned int bits = 0;
	const char *line;
	size_t size;

	if (io_read_all_at(host->root_fd, "proc/cpuinfo", 64 * MIB, &text, &size) < 0)
		return QEMU_ADDRESS_BITS;
	line = strstr(text, "\naddress sizes");
	line = line ? strchr(line, ':') : NULL;
	if (line)
		bits = (unsigned int)strtoul(line + 1, NULL, 10);
	return bits >= 32 && bits <= 64 ? bits : QEMU_ADDRESS_BITS;
}

static bool is_like_host(const struct definition *live)
{
	const xmlNode *cpu = node_child(definition_root(live), "cpu");

	return definition_is_kvm(live) &&
	       (node_has(cpu, "mode", "host-passthrough") || node_has(cpu, "mode", "host-model") ||
		node_has(cpu, "mode", "maximum"));
}

unsigned int bar_window_address_bits(struct pt_host *host, const struct definition *live)
{
	const xmlNode *element = node_find(definition_root(live), "cpu/maxphysaddr");
	unsigned int bits = QEMU_ADDRESS_BITS;
	uint64_t number;

	if (node_has(element, "mode", "emulate"))
		return node_number(element, "bits", 64, &number) == 0 ? (unsigned int)number : bits;
	if (is_like_host(live) || node_has(element, "mode", "passthrough"))
		bits = host_bits(host);
	if (node_number(element, "limit", 64, &number) == 0 && number < bits)
		bits = (unsigned int)number;
	return bits;
}

/* ---- choosing ---- */

static bool has_ovmf(const struct definition *live)
{
	const xmlNode *loader = node_find(definition_root(live), "os/loader");

	return loader && !node_has(loader, "type", "rom");
}

/* Root ports with nothing behind them. */
static uint64_t count_empty_ports(const struct definition *live)
{
	const xmlNode *devices = node_child(definition_root(live), "devices");
	const xmlNode *at = node_child(devices, "controller");
	uint64_t count = 0;

	for (; at; at = node_next(at, "controller"))
		count += topology_is_empty_port(devices, at);
	return count;
}

/* The most that any device of the host's needs: whichever it is, it may come. */
static int read_largest(struct pt_host *host, uint64_t *ret_need, struct pt_error *err)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	uint64_t need = 0;
	size_t i;
	int r = pt_snapshot_read(host, &snapshot, err);

	if (r < 0)
		return r;
	for (i = 0; i < pt_snapshot_count(snapshot); i++) {
		const struct pt_function *function = pt_snapshot_at(snapshot, i);
		uint64_t own = pt_function_kind(function) == PT_BRIDGE
				       ? 0
				       : bar_window_need(host, &function->address);

		if (own > need)
			need = own;
	}
	*ret_need = need;
	return 0;
}

static int fail_no_room(const struct definition *live, unsigned int bits, uint64_t need,
			struct pt_error *err)
{
	return pt_fail(err, PT_UNSUITABLE, ENOSPC,
		       "the BARs of the host devices need %llu GiB of address space above the "
		       "guest's %llu GiB of memory, but the guest's processors have only %u "
		       "address bits (%llu GiB). Add address bits with <cpu "
		       "mode='host-passthrough'/>, or with <maxphysaddr mode='emulate' bits='%u'/> "
		       "in <cpu>",
		       (unsigned long long)((need + GIB - 1) / GIB),
		       (unsigned long long)(definition_memory(live) / GIB), bits,
		       (unsigned long long)(((uint64_t)1 << (bits < 63 ? bits : 63)) / GIB),
		       bits + 4 > 52 ? 52 : bits + 4);
}

int bar_window_choose(struct pt_host *host, const struct definition *live,
		      const struct definition_hostdev *hostdevs, size_t count,
		      struct command_line_window *ret_window, struct pt_error *err)
{
	unsigned int bits = bar_window_address_bits(host, live);
	uint64_t space = bits < 63 ? (uint64_t)1 << bits : (uint64_t)1 << 63;
	uint64_t need = 0, ports = count_empty_ports(live), begin, port = 0;
	size_t i;
	int r;

	for (i = 0; i < count; i++)
		need += bar_window_need(host, &hostdevs[i].address);
	need = round_up(need);
	begin = definition_memory(live) + HOLE;
	if (need) /* a window begins at a multiple of its size */
		begin = (begin + need - 1) / need * need;
	if (need && (begin >= space || space - begin < need))
		return fail_no_room(live, bits, need, err);
	r = ports ? read_largest(host, &port, err) : 0;
	if (r < 0)
		return r;
	/* a wish is no reason to use up what the devices need, or most of the rest */
	while (port && (ports * port > space / 8 || begin + need + ports * port > space))
		port /= 2;
	*ret_window = (struct command_line_window){.port = port > BAR_WINDOW_USUAL ? port : 0};
	need += ports * ret_window->port;
	if (has_ovmf(live) && need > OVMF_APERTURE / 2)
		ret_window->aperture = round_up(need) * 2;
	return 0;
}

/* ---- a guest that runs ---- */

static uint64_t range_size(struct json_object *bridge)
{
	struct json_object *bus, *range, *base, *limit;
	uint64_t from, to;

	if (!json_object_object_get_ex(bridge, "bus", &bus) ||
	    !json_object_object_get_ex(bus, "prefetchable_range", &range) ||
	    !json_object_object_get_ex(range, "base", &base) ||
	    !json_object_object_get_ex(range, "limit", &limit))
		return 0;
	from = json_object_get_uint64(base);
	to = json_object_get_uint64(limit);
	return to > from ? to - from + 1 : 0;
}

/* Bridges are in the root's list, and in the lists below other bridges. */
static bool find_bridge(struct json_object *devices, const char *alias, int depth, uint64_t *ret)
{
	size_t i;

	if (!json_object_is_type(devices, json_type_array) || depth > 8)
		return false;
	for (i = 0; i < json_object_array_length(devices); i++) {
		struct json_object *device = json_object_array_get_idx(devices, i), *id, *bridge;
		struct json_object *below;

		if (!json_object_object_get_ex(device, "pci_bridge", &bridge))
			continue;
		if (json_object_object_get_ex(device, "qdev_id", &id) &&
		    text_equal(json_object_get_string(id), alias)) {
			*ret = range_size(bridge);
			return true;
		}
		if (json_object_object_get_ex(bridge, "devices", &below) &&
		    find_bridge(below, alias, depth + 1, ret))
			return true;
	}
	return false;
}

uint64_t bar_window_of_bridge(struct json_object *query_pci, const char *alias)
{
	uint64_t size = 0;
	size_t i;

	if (!json_object_is_type(query_pci, json_type_array))
		return 0;
	for (i = 0; i < json_object_array_length(query_pci); i++) {
		struct json_object *bus = json_object_array_get_idx(query_pci, i), *devices;

		if (json_object_object_get_ex(bus, "devices", &devices) &&
		    find_bridge(devices, alias, 0, &size))
			break;
	}
	return size;
}
