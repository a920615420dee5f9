/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* -cpu: the model, and all that libvirt has as features of the guest and timers. */
#include <string.h>

#include "base/text.h"
#include "domain/command_line/parts.h"

/* Elements that are one property, on or off by their "state". */
static const struct {
	const char *path; /* below <features> */
	const char *property;
	bool is_inverted;
} states[] = {
	{"hyperv/relaxed", "hv-relaxed", false},
	{"hyperv/vapic", "hv-vapic", false},
	{"hyperv/vpindex", "hv-vpindex", false},
	{"hyperv/runtime", "hv-runtime", false},
	{"hyperv/synic", "hv-synic", false},
	{"hyperv/stimer", "hv-stimer", false},
	{"hyperv/stimer/direct", "hv-stimer-direct", false},
	{"hyperv/reset", "hv-reset", false},
	{"hyperv/frequencies", "hv-frequencies", false},
	{"hyperv/reenlightenment", "hv-reenlightenment", false},
	{"hyperv/tlbflush", "hv-tlbflush", false},
	{"hyperv/tlbflush/direct", "hv-tlbflush-direct", false},
	{"hyperv/tlbflush/extended", "hv-tlbflush-ext", false},
	{"hyperv/ipi", "hv-ipi", false},
	{"hyperv/evmcs", "hv-evmcs", false},
	{"hyperv/avic", "hv-avic", false},
	{"hyperv/emsr_bitmap", "hv-emsr-bitmap", false},
	{"hyperv/xmm_input", "hv-xmm-input", false},
	{"kvm/hidden", "kvm", true},
	{"kvm/hint-dedicated", "kvm-hint-dedicated", false},
	{"kvm/poll-control", "kvm-poll-control", false},
	{"kvm/pv-ipi", "kvm-pv-ipi", false},
	{"pmu", "pmu", false},
};

static bool is_on(const xmlNode *node)
{
	return node && !node_has(node, "state", "off");
}

static void add_states(const xmlNode *features, struct option_text *cpu)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		const xmlNode *node = node_find(features, states[i].path);

		if (is_on(node))
			option_add(cpu, states[i].property, states[i].is_inverted ? "off" : "on");
		else if (node && strcmp(states[i].path, "pmu") == 0)
			option_add(cpu, "pmu", "off");
	}
}

static void add_hyperv(struct command_line *line, const xmlNode *features, struct option_text *cpu)
{
	const xmlNode *spinlocks = node_find(features, "hyperv/spinlocks");
	const xmlNode *vendor = node_find(features, "hyperv/vendor_id");
	const char *value = node_attribute(vendor, "value");

	if (node_says(features, "hyperv@mode", "passthrough"))
		option_add(cpu, "hv-passthrough", "on");
	if (is_on(spinlocks))
		option_add(cpu, "hv-spinlocks",
			   node_attribute(spinlocks, "retries")
				   ? node_attribute(spinlocks, "retries")
				   : "4096");
	if (!is_on(vendor))
		return;
	/* -cpu has no way to write a comma; the guest sees twelve bytes */
	if (!value || strlen(value) > 12 || strchr(value, ','))
		line_fail(line, EINVAL, vendor,
			  "domain/features/hyperv/vendor_id@value must have at most 12 characters "
			  "and no comma");
	option_add(cpu, "hv-vendor-id", value);
}

static void add_timers(const struct command_line *line, struct option_text *cpu)
{
	const xmlNode *timer = node_child(node_child(line->root, "clock"), "timer");

	for (; timer; timer = node_next(timer, "timer")) {
		const char *present = node_attribute(timer, "present");

		if (node_has(timer, "name", "hypervclock") && text_equal(present, "yes"))
			option_add(cpu, "hv-time", "on");
		else if (node_has(timer, "name", "kvmclock") && present)
			option_add(cpu, "kvmclock", text_equal(present, "yes") ? "on" : "off");
		else if (node_has(timer, "name", "tsc") && text_equal(present, "no"))
			option_add(cpu, "tsc", "off");
		else if (node_has(timer, "name", "tsc"))
			option_add(cpu, "tsc-frequency", node_attribute(timer, "frequency"));
	}
}

static void add_panic(const struct command_line *line, struct option_text *cpu)
{
	const xmlNode *panic = node_child(line->devices, "panic");

	for (; panic; panic = node_next(panic, "panic"))
		if (node_has(panic, "model", "hyperv"))
			option_add(cpu, "hv-crash", "on");
}

static void add_features(const xmlNode *from, struct option_text *cpu)
{
	for (const xmlNode *at = node_child(from, "feature"); at; at = node_next(at, "feature")) {
		const char *policy = node_attribute(at, "policy");
		bool is_off = text_equal(policy, "disable") || text_equal(policy, "forbid");

		/* QEMU names a bit with its bits' names; "optional" is: when the host has it */
		if (!text_equal(policy, "optional"))
			option_add(cpu, node_attribute(at, "name"), is_off ? "off" : "on");
	}
}

static void add_cache(struct command_line *line, const xmlNode *from, const char *model,
		      struct option_text *cpu)
{
	bool has_host = text_equal(model, "host") || text_equal(model, "max");
	const xmlNode *cache = node_child(from, "cache"), *bits = node_child(from, "maxphysaddr");
	const char *mode = node_attribute(cache, "mode");

	/* the host's is a property of those models only that are made of the host's processor */
	if (mode && has_host)
		option_add(cpu, "host-cache-info", strcmp(mode, "passthrough") == 0 ? "on" : "off");
	else if (text_equal(mode, "passthrough"))
		line_fail(
			line, EOPNOTSUPP, cache,
			"domain/cpu/cache@mode='passthrough' needs cpu@mode='host-passthrough' or "
			"'maximum': only these have the host's caches");
	if (mode)
		option_add(cpu, "l3-cache", strcmp(mode, "emulate") == 0 ? "on" : "off");
	if (node_has(bits, "mode", "passthrough")) {
		option_add(cpu, "host-phys-bits", "on");
		option_add(cpu, "host-phys-bits-limit", node_attribute(bits, "limit"));
	} else if (bits && node_attribute(bits, "limit")) {
		line_fail(line, EOPNOTSUPP, bits,
			  "domain/cpu/maxphysaddr@limit needs mode='passthrough'");
	} else if (bits) {
		option_add(cpu, "phys-bits", node_attribute(bits, "bits"));
	}
}

/* The name of the model; NULL: QEMU's own default. */
static const char *model_of(struct command_line *line, const xmlNode *cpu)
{
	const char *mode = node_attribute(cpu, "mode"), *model = node_get(cpu, "model");
	bool is_kvm = definition_is_kvm(line->live);

	if (text_equal(mode, "maximum"))
		return "max";
	/* what comes nearest to the host, and is still described as features that can be seen */
	if (text_equal(mode, "host-model"))
		return is_kvm ? "host" : "max";
	if (text_equal(mode, "host-passthrough")) {
		if (!is_kvm)
			line_fail(line, EOPNOTSUPP, cpu,
				  "domain/cpu@mode='host-passthrough' needs domain@type='kvm': an "
				  "emulated guest does not run on the host's processor");
		return "host";
	}
	if (mode && !model)
		line_fail(line, EINVAL, cpu, "domain/cpu/model is missing");
	return model;
}

void line_cpu(struct command_line *line)
{
	const xmlNode *cpu = node_child(line->root, "cpu");
	const xmlNode *features = node_child(line->root, "features");
	const char *model = model_of(line, cpu);
	struct option_text option;

	option_begin(&option, line, model ? model : "qemu64");
	if (model && strcmp(model, "host") == 0)
		option_add(&option, "migratable",
			   node_has(cpu, "migratable", "off") ? "off" : "on");
	option_add(&option, "vendor", node_get(cpu, "model@vendor_id"));
	if (node_has(cpu, "check", "full"))
		option_add(&option, "enforce", "on");
	add_features(cpu, &option);
	add_cache(line, cpu, model, &option);
	add_timers(line, &option);
	add_states(features, &option);
	add_hyperv(line, features, &option);
	add_panic(line, &option);
	option_end(&option, "-cpu");
}
