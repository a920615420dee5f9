/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of golden/domains, and the tests' way to parse what must parse. */
#ifndef TESTS_DEFINITION_READ_H
#define TESTS_DEFINITION_READ_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "domain/definition/definition.h"

/* Freed by the caller. */
static inline char *read_golden(const char *name)
{
	char path[512], *text = NULL;
	size_t size;

	(void)snprintf(path, sizeof(path), "%s/../unit/golden/domains/%s", getenv("MACHINES"),
		       name);
	if (io_read_all_at(AT_FDCWD, path, DEFINITION_MAX_TEXT, &text, &size) < 0)
		fail_msg("%s can't be read", path);
	return text;
}

/*
 * @text is what golden/domains/@name holds; with UPDATE_GOLDEN=1 in the environment it is written
 * anew, to be read before it is committed.
 */
static inline void assert_golden(const char *name, const char *text)
{
	AUTO_FREE char *wanted = NULL;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/../unit/golden/domains/%s", getenv("MACHINES"),
		       name);
	if (getenv("UPDATE_GOLDEN")) {
		FILE *file = fopen(path, "we");

		assert_non_null(file);
		(void)fputs(text, file);
		(void)fclose(file);
	}
	wanted = read_golden(name);
	if (strcmp(text, wanted) != 0)
		fail_msg("this isn't golden/domains/%s:\n%s", name, text);
}

static inline struct definition *parse_text(const char *text, unsigned int flags)
{
	struct definition *def = NULL;
	struct pt_error err = {0};

	if (definition_parse(text, flags, &def, &err) < 0)
		fail_msg("%s", err.message);
	return def;
}

static inline struct definition *parse_golden(const char *name)
{
	AUTO_FREE char *text = read_golden(name);

	return parse_text(text, 0);
}

static inline struct definition *parse_device(const char *text)
{
	struct definition *device = NULL;
	struct pt_error err = {0};

	if (definition_parse_device(text, DEFINITION_LIVE, &device, &err) < 0)
		fail_msg("%s", err.message);
	return device;
}

/* Freed by the caller. */
static inline char *format_text(const struct definition *def, unsigned int flags)
{
	char *text = NULL;

	assert_int_equal(definition_format(def, flags, &text, NULL), 0);
	return text;
}

#endif
