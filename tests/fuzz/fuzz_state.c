/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What we write is read back: the bytes become the texts of a state file of each kind, which is
 * formatted and parsed. The first byte chooses the kind, NULs end the texts.
 */
#include <stdlib.h>
#include <string.h>

#include "assign/claim.h"
#include "assign/journal.h"
#include "assign/persist/persist.h"
#include "base/text.h"
#include "domain/store/store.h"
#include "domain/store/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const char *at;
	size_t size;
};

/* The next text, whole, in new memory. */
static char *next_text(struct input *input)
{
	size_t length = strnlen(input->at, input->size);
	char *text = malloc(length + 1);

	if (!text)
		abort();
	memcpy(text, input->at, length);
	text[length] = '\0';
	input->at += length;
	input->size -= length;
	if (input->size) {
		input->at++;
		input->size--;
	}
	return text;
}

static void next(struct input *input, char *buffer, size_t size)
{
	char *text = next_text(input);

	(void)text_copy(buffer, size, text);
	free(text);
}

/* Of a driver: what the kernel and plans let through. */
static void next_driver(struct input *input, char buffer[BINDING_NAME])
{
	char *c;

	next(input, buffer, BINDING_NAME);
	for (c = buffer; *c; c++)
		if (*c == '/' || *c == '\n' || (c == buffer && *c == '.'))
			*c = '_';
}

static void next_override(struct input *input, char buffer[BINDING_NAME])
{
	next(input, buffer, BINDING_NAME);
	buffer[strcspn(buffer, "\n")] = '\0';
}

/* Text that is for people alone may lose what is no UTF-8, and nothing else. */
static void same_text(const char *written, const char *read)
{
	char *text = strdup(written);

	if (!text)
		abort();
	text_make_utf8(text);
	if (strcmp(text, read) != 0)
		abort();
	free(text);
}

/* The same for what reaches terminals. */
static void same_cleaned(const char *written, const char *read)
{
	char *text = strdup(written);

	if (!text)
		abort();
	text_clean(text);
	if (strcmp(text, read) != 0)
		abort();
	free(text);
}

static void same(const char *written, const char *read)
{
	if (strcmp(written, read) != 0)
		abort();
}

static char *format(struct json_object *object, size_t *ret_size)
{
	char *text;

	if (!object || json_format(object, JSON_C_TO_STRING_PLAIN, &text, ret_size) < 0)
		abort();
	json_object_put(object);
	return text;
}

static struct pt_claim next_claim(struct input *input)
{
	struct pt_claim claim = {.address = {.bus = 1}, .owner = {.kind = PT_OWNER_PROCESS}};

	next(input, claim.owner.name, sizeof(claim.owner.name));
	next(input, claim.why, sizeof(claim.why));
	next_driver(input, claim.driver);
	next_driver(input, claim.driver_before);
	next_override(input, claim.override_before);
	return claim;
}

static void same_claim(const struct pt_claim *written, const struct pt_claim *read)
{
	same_cleaned(written->owner.name, read->owner.name);
	same_text(written->why, read->why);
	same(written->driver, read->driver);
	same(written->driver_before, read->driver_before);
	same(written->override_before, read->override_before);
}

static void claim(struct input *input)
{
	struct pt_claim written = next_claim(input), read;
	size_t size;
	char *text = format(claim_to_json(&written), &size);

	if (claim_parse(text, size, &read, NULL) < 0)
		abort();
	same_claim(&written, &read);
	free(text);
}

static void journal(struct input *input)
{
	struct step step = {.kind = STEP_CLAIM, .address = {.bus = 1}, .reset_set = {.bus = 1}};
	struct journal read;
	size_t size, marks;
	char *text;

	step.new_claim = next_claim(input);
	next_driver(input, step.from.driver);
	next_override(input, step.from.override);
	next_override(input, step.to.override);
	if (journal_format(PT_TAKE, &step, 1, "group-1", &text, &size, &marks) < 0 ||
	    journal_parse(text, size, &read, NULL) < 0 || (size_t)read.marks != marks)
		abort();
	same_claim(&step.new_claim, &read.steps[0].new_claim);
	same(step.from.driver, read.steps[0].from.driver);
	same(step.from.override, read.steps[0].from.override);
	same(step.to.override, read.steps[0].to.override);
	journal_free(&read);
	free(text);
}

static void next_identity(struct input *input, struct pt_identity *identity)
{
	identity->is_serial_known = true;
	(void)memcpy(identity->serial, "vpd:", 5);
	next(input, identity->serial + 4, sizeof(identity->serial) - 4);
	next(input, identity->slot, sizeof(identity->slot));
}

static void persisted(struct input *input)
{
	struct pt_persisted written = {.address = {.bus = 1}}, read;
	size_t size;
	char *text;

	next_identity(input, &written.identity);
	next(input, written.why, sizeof(written.why));
	next_driver(input, written.driver);
	if (!*written.driver)
		written.driver[0] = 'x';
	text = format(persist_to_json(&written), &size);
	if (persist_parse(text, size, &read, NULL) < 0)
		abort();
	same(written.identity.serial, read.identity.serial);
	same(written.identity.slot, read.identity.slot);
	same_text(written.why, read.why);
	same(written.driver, read.driver);
	free(text);
}

static void devices(struct input *input)
{
	struct store_devices *written = calloc(1, sizeof(*written) + sizeof(struct store_device));
	struct store_devices *read;
	size_t size;
	char *text;

	if (!written)
		abort();
	written->count = 1;
	next_identity(input, &written->items[0].identity);
	text = format(store_devices_to_json(written), &size);
	if (store_parse_devices(text, size, &read, NULL) < 0)
		abort();
	same(written->items[0].identity.serial, read->items[0].identity.serial);
	free(read);
	free(written);
	free(text);
}

static void live(struct input *input)
{
	struct store_live *written = calloc(1, sizeof(*written)), *read;
	char path[256] = "/";
	size_t size;
	char *text;

	if (!written)
		abort();
	*written = (struct store_live){.id = 1, .pid = 2, .pending_count = 1};
	next(input, written->name, sizeof(written->name));
	text_make_utf8(written->name); /* XML's names are */
	if (store_check_name(written->name, NULL) < 0)
		(void)text_copy(written->name, sizeof(written->name), "g");
	next(input, written->pending[0].alias, sizeof(written->pending[0].alias));
	next(input, path + 1, sizeof(path) - 1);
	if (store_add_file(written, &(struct store_file){.path = path}) < 0)
		abort();
	written->xml = next_text(input);
	text = format(store_live_to_json(written), &size);
	if (store_parse_live(text, size, &read, NULL) < 0)
		abort();
	same(written->name, read->name);
	same(path, read->files[0].path);
	same_text(written->pending[0].alias, read->pending[0].alias);
	same_text(written->xml, read->xml);
	store_live_free(read);
	store_live_free(written);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct input *input) = {claim, journal, persisted, devices,
							     live};
	struct input input = {(const char *)data + 1, size - 1};

	if (size)
		kinds[data[0] % (sizeof(kinds) / sizeof(kinds[0]))](&input);
	return 0;
}
