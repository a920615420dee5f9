/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/definition.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/text.h"
#include "domain/definition/check.h"
#include "domain/definition/tree.h"
#include "domain/definition/units.h"
#include "domain/definition/xml_node.h"

struct definition {
	xmlDoc *doc;
	bool is_device;
};

#define DEFAULT_EMULATOR "/usr/bin/qemu-system-x86_64"

/* ---- making and freeing ---- */

void definition_free(struct definition *def)
{
	if (!def)
		return;
	xmlFreeDoc(def->doc);
	free(def);
}

/* Takes @doc, on failure too. */
static struct definition *new_definition(xmlDoc *doc, bool is_device)
{
	struct definition *def = doc ? calloc(1, sizeof(*def)) : NULL;

	if (!def) {
		xmlFreeDoc(doc);
		return NULL;
	}
	def->doc = doc;
	def->is_device = is_device;
	return def;
}

struct definition *definition_copy(const struct definition *def)
{
	return new_definition(xmlCopyDoc(def->doc, 1), def->is_device);
}

xmlNode *definition_root(const struct definition *def)
{
	return xmlDocGetRootElement(def->doc);
}

/* RFC 9562, version 4: random. */
static int make_uuid(unsigned char bytes[16], struct pt_error *err)
{
	if (getrandom(bytes, 16, 0) != 16)
		return pt_fail(err, PT_SYSTEM, errno, "can't get random numbers for a UUID");
	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
	return 0;
}

/* An empty one is to be made, and kept. */
static int settle_genid(xmlNode *domain, struct pt_error *err)
{
	xmlNode *node = node_child(domain, "genid");
	unsigned char bytes[16];
	char text[DEFINITION_UUID_TEXT];
	int r = 0;

	if (!node || node_text(node))
		return 0;
	r = make_uuid(bytes, err);
	if (!r && node_set_text(node, uuid_format(bytes, text)) < 0)
		r = pt_fail_memory(err);
	return r;
}

/* A new one where none was given; in libvirt's spelling where one was. */
static int settle_uuid(xmlNode *domain, struct pt_error *err)
{
	xmlNode *node = node_child(domain, "uuid"), *made;
	unsigned char bytes[16];
	char text[DEFINITION_UUID_TEXT];

	if (node) {
		uuid_parse(node_text(node), bytes);
		node_remove(node);
	} else {
		int r = make_uuid(bytes, err);

		if (r < 0)
			return r;
	}
	made = node_add(domain, "uuid", uuid_format(bytes, text));
	if (!made)
		return pt_fail_memory(err);
	/* its place is behind the name; xmlAddNextSibling() takes it from where it is */
	(void)xmlAddNextSibling(node_child(domain, "name"), made);
	return 0;
}

static int definition_parse_as(const char *text, unsigned int flags, bool is_device,
			       struct definition **ret_def, struct pt_error *err)
{
	AUTO(auto_definition) struct definition *def = NULL;
	xmlDoc *doc = NULL;
	int r;

	r = tree_parse(text, &doc, err);
	if (r < 0)
		return r;
	def = new_definition(doc, is_device);
	if (!def)
		return pt_fail_memory(err);
	if (!(flags & DEFINITION_LIVE))
		tree_drop_live(definition_root(def));
	r = definition_check(definition_root(def), is_device, err);
	if (r == 0)
		r = definition_check_rules(definition_root(def), err);
	if (r == 0 && !is_device)
		r = settle_uuid(definition_root(def), err);
	if (r == 0 && !is_device)
		r = settle_genid(definition_root(def), err);
	if (r < 0)
		return r;
	*ret_def = TAKE_POINTER(def);
	return 0;
}

int definition_parse(const char *text, unsigned int flags, struct definition **ret_def,
		     struct pt_error *err)
{
	return definition_parse_as(text, flags, false, ret_def, err);
}

int definition_parse_device(const char *text, unsigned int flags, struct definition **ret_device,
			    struct pt_error *err)
{
	return definition_parse_as(text, flags, true, ret_device, err);
}

/* New text, NULL without memory. */
static char *definition_write_text(const xmlNode *root)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool has_failed;

	if (!out)
		return NULL;
	tree_write(out, root, 0);
	has_failed = ferror(out) != 0;
	if (fclose(out) == 0 && !has_failed)
		return text;
	free(text);
	return NULL;
}

int definition_format(const struct definition *def, unsigned int flags, char **ret_text,
		      struct pt_error *err)
{
	AUTO(auto_definition) struct definition *copy = definition_copy(def);
	char *text;

	if (!copy)
		return pt_fail_memory(err);
	if (!(flags & DEFINITION_LIVE))
		tree_drop_live(definition_root(copy));
	if (!(flags & DEFINITION_SECURE))
		tree_drop_secrets(definition_root(copy));
	text = definition_write_text(definition_root(copy));
	if (!text)
		return pt_fail_memory(err);
	*ret_text = text;
	return 0;
}

int definition_extract_device(const struct definition *def, const xmlNode *node,
			      struct definition **ret_device, struct pt_error *err)
{
	xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");
	xmlNode *copy = doc ? xmlDocCopyNode((xmlNode *)(uintptr_t)node, doc, 1) : NULL;

	(void)def;
	if (!copy) {
		xmlFreeDoc(doc);
		return pt_fail_memory(err);
	}
	xmlDocSetRootElement(doc, copy);
	*ret_device = new_definition(doc, true);
	return *ret_device ? 0 : pt_fail_memory(err);
}

/* ---- what it says ---- */

const char *definition_get(const struct definition *def, const char *path)
{
	return node_get(definition_root(def), path);
}

static xmlNode *make_path(xmlNode *node, const char *path, const char *end)
{
	while (node && path < end) {
		char word[64];
		size_t len = strcspn(path, "/@");
		xmlNode *child;

		(void)text_format(word, sizeof(word), "%.*s", (int)len, path);
		child = node_child(node, word);
		node = child ? child : node_add(node, word, NULL);
		path += len + (path[len] == '/');
	}
	return node;
}

int definition_set(struct definition *def, const char *path, const char *value,
		   struct pt_error *err)
{
	const char *at = strchr(path, '@');
	xmlNode *node = make_path(definition_root(def), path, at ? at : path + strlen(path));

	if (!node)
		return pt_fail_memory(err);
	if (at && !value)
		node_unset(node, at + 1);
	else if (at ? node_set(node, at + 1, value) < 0 : node_set_text(node, value) < 0)
		return pt_fail_memory(err);
	return 0;
}

const char *definition_name(const struct definition *def)
{
	return definition_get(def, "name");
}

const char *definition_uuid(const struct definition *def)
{
	return definition_get(def, "uuid");
}

void definition_uuid_bytes(const struct definition *def, unsigned char ret_uuid[16])
{
	uuid_parse(definition_uuid(def), ret_uuid);
}

int definition_id(const struct definition *def)
{
	uint64_t id;

	return node_number(definition_root(def), "id", INT32_MAX, &id) == 0 ? (int)id : -1;
}

int definition_set_id(struct definition *def, int id, struct pt_error *err)
{
	if (id < 0) {
		node_unset(definition_root(def), "id");
		return 0;
	}
	if (node_set_format(definition_root(def), "id", "%d", id) < 0)
		return pt_fail_memory(err);
	return 0;
}

bool definition_is_kvm(const struct definition *def)
{
	return node_has(definition_root(def), "type", "kvm");
}

/* The rules saw to it that it is a number with a unit that fits. */
static uint64_t size_at(const struct definition *def, const char *path)
{
	uint64_t bytes = 0;

	(void)size_of_node(node_find(definition_root(def), path), &bytes, NULL);
	return bytes;
}

uint64_t definition_memory(const struct definition *def)
{
	return size_at(def, "memory");
}

uint64_t definition_memory_now(const struct definition *def)
{
	const xmlNode *balloon = node_find(definition_root(def), "devices/memballoon");
	uint64_t now = size_at(def, "currentMemory");

	/* without a balloon there is nothing to take memory from the guest */
	return now && node_has(balloon, "model", "virtio") ? now : definition_memory(def);
}

uint64_t definition_memory_hard_limit(const struct definition *def)
{
	return size_at(def, "memtune/hard_limit");
}

bool definition_memory_is_locked(const struct definition *def)
{
	return node_find(definition_root(def), "memoryBacking/locked");
}

bool definition_memory_is_huge(const struct definition *def)
{
	return node_find(definition_root(def), "memoryBacking/hugepages");
}

unsigned int definition_vcpus(const struct definition *def)
{
	const char *text = definition_get(def, "vcpu");
	uint64_t count;

	return text && text_parse_number(text, 10, UINT16_MAX, &count) == 0 ? (unsigned int)count
									    : 1;
}

static const char *with_default(const char *value, const char *otherwise)
{
	return value ? value : otherwise;
}

const char *definition_emulator(const struct definition *def)
{
	return with_default(definition_get(def, "devices/emulator"), DEFAULT_EMULATOR);
}

const char *definition_on_poweroff(const struct definition *def)
{
	return with_default(definition_get(def, "on_poweroff"), "destroy");
}

const char *definition_on_reboot(const struct definition *def)
{
	return with_default(definition_get(def, "on_reboot"), "restart");
}

const char *definition_on_crash(const struct definition *def)
{
	return with_default(definition_get(def, "on_crash"), "destroy");
}
