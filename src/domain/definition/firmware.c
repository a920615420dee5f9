/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/firmware.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "base/safe_path.h"
#include "domain/definition/xml_node.h"

enum { NAMES_MAX = 256, NAME = 256, DESCRIPTOR_MAX = 64 * 1024, DEPTH = 16 };

/* ---- one descriptor ---- */

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (json_object_is_type(object, json_type_object))
		(void)json_object_object_get_ex(object, key, &value);
	return value;
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

static size_t length_of(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

static bool has_word(struct json_object *array, const char *word)
{
	for (size_t i = 0; i < length_of(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		if (json_object_is_type(item, json_type_string) &&
		    strcmp(json_object_get_string(item), word) == 0)
			return true;
	}
	return false;
}

/* The descriptors know no aliases: "q35" is the newest of its versions, whichever that is. */
static bool is_for_machine(struct json_object *targets, const char *machine)
{
	const char *name = machine;

	if (strcmp(machine, "q35") == 0)
		name = "pc-q35-0";
	else if (strcmp(machine, "pc") == 0)
		name = "pc-i440fx-0";

	for (size_t i = 0; i < length_of(targets); i++) {
		struct json_object *target = json_object_array_get_idx(targets, i);
		struct json_object *machines = member(target, "machines");

		if (strcmp(text_of(target, "architecture"), "x86_64") != 0)
			continue;
		for (size_t j = 0; j < length_of(machines); j++) {
			const char *pattern =
				json_object_get_string(json_object_array_get_idx(machines, j));

			if (pattern && fnmatch(pattern, name, 0) == 0)
				return true;
		}
	}
	return false;
}

static bool get_file(struct json_object *file, char path[FIRMWARE_PATH], char format[16])
{
	const char *named = text_of(file, "format");

	return text_copy(path, FIRMWARE_PATH, text_of(file, "filename")) && path[0] == '/' &&
	       !strpbrk(path, "\n\r") && (!strcmp(named, "raw") || !strcmp(named, "qcow2")) &&
	       text_copy(format, 16, named);
}

static int fill(struct json_object *object, const char *machine, struct firmware *firmware)
{
	struct json_object *mapping = member(object, "mapping"), *features;
	const char *mode = text_of(mapping, "mode");

	if (!json_object_is_type(object, json_type_object) || !mapping)
		return -EBADMSG;
	if (!has_word(member(object, "interface-types"), "uefi") ||
	    strcmp(text_of(mapping, "device"), "flash") != 0 || (*mode && strcmp(mode, "split")) ||
	    !is_for_machine(member(object, "targets"), machine))
		return -ENOENT;
	if (!get_file(member(mapping, "executable"), firmware->code, firmware->code_format) ||
	    !get_file(member(mapping, "nvram-template"), firmware->variables,
		      firmware->variables_format))
		return -EBADMSG;
	features = member(object, "features");
	firmware->has_secure_boot = has_word(features, "secure-boot");
	firmware->has_enrolled_keys = has_word(features, "enrolled-keys");
	firmware->needs_smm = has_word(features, "requires-smm");
	firmware->has_s3 = has_word(features, "acpi-s3");
	firmware->has_s4 = has_word(features, "acpi-s4");
	return 0;
}

int firmware_parse(const char *text, size_t size, const char *machine,
		   struct firmware *ret_firmware)
{
	AUTO(auto_json) struct json_object *object = NULL;
	struct firmware firmware = {0};
	int r = json_parse(text, size, DESCRIPTOR_MAX, DEPTH, &object, NULL);

	r = r < 0 ? -EBADMSG : fill(object, machine, &firmware);
	if (!r)
		*ret_firmware = firmware;
	return r;
}

/* ---- all of them ---- */

/* In this order of preference for files of one name: an administrator's hides the package's. */
static const char *const directories[] = {"etc/qemu/firmware", "usr/share/qemu/firmware"};

struct names {
	char names[NAMES_MAX][NAME];
	size_t count;
};

static void add_name(struct names *names, const char *name)
{
	size_t length = strlen(name);

	if (length < 6 || length >= NAME || strcmp(name + length - 5, ".json") != 0 ||
	    names->count == NAMES_MAX)
		return;
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->names[i], name) == 0)
			return;
	memcpy(names->names[names->count++], name, length + 1);
}

static int firmware_compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void list_names(struct pt_host *host, struct names *names)
{
	for (size_t i = 0; i < 2; i++) {
		AUTO_DIR DIR *dir = NULL;
		const struct dirent *entry;

		(void)io_open_directory_at(host->root_fd, directories[i], &dir);
		while (dir && (entry = readdir(dir)))
			add_name(names, entry->d_name);
	}
	qsort(names->names, names->count, sizeof(names->names[0]), firmware_compare_names);
}

/* An empty file hides one of that name below it, and a broken one nothing but itself. */
static int read_descriptor(struct pt_host *host, const char *name, const char *machine,
			   struct firmware *ret_firmware)
{
	for (size_t i = 0; i < 2; i++) {
		AUTO_FREE char *text = NULL;
		char path[NAME + 64];
		size_t size;
		int r = text_format(path, sizeof(path), "%s/%s", directories[i], name);

		if (r >= 0)
			r = io_read_all_at(host->root_fd, path, DESCRIPTOR_MAX, &text, &size);
		if (r == 0 && size)
			r = firmware_parse(text, size, machine, ret_firmware);
		else if (r == 0)
			r = -ENOENT;
		if (r == -EBADMSG)
			host_log(host, PT_LOG_WARNING,
				 "/%s is ignored: it is not a firmware descriptor with usable "
				 "files",
				 path);
		if (text)
			return r;
	}
	return -ENOENT;
}

/* ---- what is wanted ---- */

/* Nothing said, or "yes" or "no". */
struct wanted {
	const char *machine;
	const char *code;   /* NULL: any */
	const char *secure; /* of the loader: variables that only firmware in SMM can write to */
	const char *secure_boot;
	const char *enrolled_keys;
	bool has_no_smm;
	bool needs_s3;
	bool needs_s4;
};

static struct wanted wanted_of(const struct definition *def)
{
	const xmlNode *root = definition_root(def), *smm = node_find(root, "features/smm");
	struct wanted wanted = {
		.machine = definition_get(def, "os/type@machine"),
		.code = definition_get(def, "os/loader"),
		.secure = definition_get(def, "os/loader@secure"),
		.has_no_smm = node_has(smm, "state", "off"),
		.needs_s3 = node_says(root, "pm/suspend-to-mem@enabled", "yes"),
		.needs_s4 = node_says(root, "pm/suspend-to-disk@enabled", "yes"),
	};

	if (!wanted.machine)
		wanted.machine = "q35";
	for (const xmlNode *at = node_find(root, "os/firmware/feature"); at;
	     at = node_next(at, "feature")) {
		bool is_keys = node_has(at, "name", "enrolled-keys");

		*(is_keys ? &wanted.enrolled_keys : &wanted.secure_boot) =
			node_attribute(at, "enabled");
	}
	return wanted;
}

static bool agrees(const char *wanted, bool has)
{
	return !wanted || (strcmp(wanted, "yes") == 0) == has;
}

static bool fits(const struct wanted *wanted, const struct firmware *firmware)
{
	if (wanted->code)
		return strcmp(wanted->code, firmware->code) == 0;
	return agrees(wanted->secure, firmware->needs_smm) &&
	       agrees(wanted->secure_boot, firmware->has_secure_boot) &&
	       agrees(wanted->enrolled_keys, firmware->has_enrolled_keys) &&
	       !(wanted->has_no_smm && firmware->needs_smm) &&
	       (firmware->has_s3 || !wanted->needs_s3) && (firmware->has_s4 || !wanted->needs_s4);
}

/* @there gets the descriptors that were no match, for the message. */
static int firmware_find(struct pt_host *host, const struct wanted *wanted,
			 struct firmware *ret_firmware, char *there, size_t size)
{
	AUTO_FREE struct names *names = calloc(1, sizeof(*names));
	size_t used = 0;

	there[0] = '\0';
	if (!names)
		return -ENOMEM;
	list_names(host, names);
	for (size_t i = 0; i < names->count; i++) {
		struct firmware firmware;
		int n;

		if (read_descriptor(host, names->names[i], wanted->machine, &firmware) < 0)
			continue;
		if (fits(wanted, &firmware)) {
			*ret_firmware = firmware;
			return 0;
		}
		n = text_format(there + used, size - used, "%s%s", used ? ", " : "",
				names->names[i]);
		used += n > 0 ? (size_t)n : 0;
	}
	return -ENOENT;
}

/* ---- into the definition ---- */

static int set_format(struct definition *def, const char *path, const char *format,
		      struct pt_error *err)
{
	return strcmp(format, "raw") == 0 ? 0 : definition_set(def, path, format, err);
}

/* The code, and what it needs of the machine. */
static int put_code(struct definition *def, const struct firmware *firmware, struct pt_error *err)
{
	int r = definition_set(def, "os/loader", firmware->code, err);

	if (!r)
		r = definition_set(def, "os/loader@readonly", "yes", err);
	if (!r && firmware->needs_smm)
		r = definition_set(def, "os/loader@secure", "yes", err);
	if (!r)
		r = definition_set(def, "os/loader@type", "pflash", err);
	if (!r)
		r = set_format(def, "os/loader@format", firmware->code_format, err);
	if (!r && firmware->needs_smm)
		r = definition_set(def, "features/smm@state", "on", err);
	return r;
}

/* Set their paths; existing values are kept. */
static int name_variables(struct definition *def, struct pt_error *err)
{
	char path[4096];

	if (definition_get(def, "os/nvram"))
		return 0;
	if (text_format(path, sizeof(path), FIRMWARE_NVRAM_DIRECTORY "/%s_VARS.fd",
			definition_name(def)) < 0)
		return pt_fail(err, PT_INVALID, ENAMETOOLONG, "domain/name is too long");
	return definition_set(def, "os/nvram", path, err);
}

static int put_variables(struct definition *def, const struct firmware *firmware,
			 struct pt_error *err)
{
	int r = name_variables(def, err);

	if (definition_get(def, "os/nvram@template"))
		return r;
	if (!r)
		r = definition_set(def, "os/nvram@template", firmware->variables, err);
	if (!r)
		r = set_format(def, "os/nvram@templateFormat", firmware->variables_format, err);
	if (!r && !definition_get(def, "os/nvram@format"))
		r = set_format(def, "os/nvram@format", firmware->variables_format, err);
	return r;
}

static int fail_unfit(const struct wanted *wanted, const char *there, struct pt_error *err)
{
	if (!*there)
		return pt_fail(err, PT_INVALID, EOPNOTSUPP,
			       "Unable to find 'efi' firmware that is compatible with the current "
			       "configuration: no descriptor in /usr/share/qemu/firmware supports "
			       "machine %s; install OVMF (package ovmf or edk2-ovmf), or name the "
			       "file in domain/os/loader",
			       wanted->machine);
	return pt_fail(err, PT_INVALID, EOPNOTSUPP,
		       "Unable to find 'efi' firmware that is compatible with the current "
		       "configuration: none of %s has secure-boot=%s, enrolled-keys=%s and the "
		       "features in domain/features/smm and domain/pm",
		       there, wanted->secure_boot ? wanted->secure_boot : "any",
		       wanted->enrolled_keys ? wanted->enrolled_keys : "any");
}

int definition_choose_firmware(struct pt_host *host, struct definition *def, struct pt_error *err)
{
	const xmlNode *loader = node_find(definition_root(def), "os/loader");
	bool is_wanted = definition_get(def, "os@firmware");
	struct wanted wanted = wanted_of(def);
	struct firmware firmware;
	char there[1024];
	int r;

	if (!is_wanted && loader && !wanted.code)
		return pt_fail(
			err, PT_INVALID, EINVAL,
			"domain/os/loader names no file, and domain/os@firmware is missing (line "
			"%ld)",
			xmlGetLineNo(loader));
	if (!is_wanted && (!loader || node_has(loader, "type", "rom")))
		return 0;
	r = firmware_find(host, &wanted, &firmware, there, sizeof(there));
	if (r == -ENOMEM)
		return pt_fail_memory(err);
	if (r < 0 && !wanted.code)
		return fail_unfit(&wanted, there, err);
	if (r < 0) /* firmware of the user's own: of its variables only he knows */
		return definition_get(def, "os/nvram@template") ? name_variables(def, err) : 0;
	if (!wanted.code)
		r = put_code(def, &firmware, err);
	/* where code and variables are one file, there is no second one */
	if (!r && !node_says(definition_root(def), "os/loader@readonly", "no"))
		r = put_variables(def, &firmware, err);
	return r;
}

/* ---- the end of it ---- */

bool definition_has_nvram(struct pt_host *host, const struct definition *def)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	const char *path = definition_get(def, "os/nvram");

	return path && safe_path_open_entry(host->root_fd, path, &at) == 0 && at.fd >= 0 &&
	       S_ISREG(at.st.st_mode);
}

int definition_remove_nvram(struct pt_host *host, const struct definition *def,
			    struct pt_error *err)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	const char *path = definition_get(def, "os/nvram");
	char reason[SAFE_PATH_TEXT];
	int r = path ? safe_path_open_entry(host->root_fd, path, &at) : -ENOENT;

	if (r == -ENOENT || (!r && at.fd < 0))
		return 0;
	if (!r && !safe_path_has_trusted_parent(&at)) {
		safe_path_explain(&at, path, SAFE_PATH_PARENT, reason);
		return pt_fail(err, PT_NOT_PERMITTED, EPERM,
			       "failed to remove nvram: %s. To undefine the guest and keep the "
			       "file, use --keep-nvram",
			       reason);
	}
	if (!r && unlinkat(at.parent, at.name, 0) < 0 && errno != ENOENT)
		r = -errno;
	if (r < 0)
		return pt_fail(err, PT_STORAGE, -r, "failed to remove nvram: %s: %s", path,
			       strerror(-r));
	return 0;
}
