/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "domain/store/devices.h"
#include "pci/host.h"

const struct state_kind state_definitions = {
	.directory = STORE_DEFINITIONS,
	.suffix = ".xml",
	.max = 2 * 1024 * 1024,
	.directory_mode = 0700, /* passwords may be in them */
	.mode = 0600,
	.is_lasting = true,
	.next = "correct or remove the file, then restart passthrud; or define the guest again",
};

static const struct state_kind state_autostart = {
	.directory = STORE_AUTOSTART,
	.suffix = "",
	.directory_mode = 0700,
	.mode = 0600,
	.is_lasting = true,
};

int store_check_name(const char *name, struct pt_error *err)
{
	if (!*name)
		return pt_fail(err, PT_INVALID, EINVAL, "a guest's name can't be empty");
	if (strlen(name) >= STORE_NAME)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "a guest's name can have at most %zu bytes; this name is longer: %s",
			       STORE_NAME - 1, name);
	if (strchr(name, '/') || !text_is_clean(name))
		return pt_fail(err, PT_INVALID, EINVAL, "the name of a guest can't contain %s",
			       strchr(name, '/') ? "'/'" : "control characters");
	if (name[0] == '.' || name[0] == ' ' || name[strlen(name) - 1] == ' ')
		return pt_fail(err, PT_INVALID, EINVAL,
			       "the name '%s' begins with '.', or begins or ends with a space",
			       name);
	return 0;
}

/* ---- lists ---- */

int store_list_definitions(struct pt_host *host, char ***ret_names, struct pt_error *err)
{
	return state_list(host, &state_definitions, ret_names, err);
}

int store_list_live(struct pt_host *host, char ***ret_names, struct pt_error *err)
{
	return state_list(host, &state_live, ret_names, err);
}

/* ---- definitions ---- */

int store_read_definition(struct pt_host *host, const char *name, char **ret_xml,
			  struct pt_error *err)
{
	return state_read(host, &state_definitions, name, ret_xml, NULL, err);
}

int store_write_definition(struct pt_host *host, const char *name, const char *xml,
			   struct pt_error *err)
{
	int r = store_check_name(name, err);

	return r < 0 ? r : state_write(host, &state_definitions, name, xml, strlen(xml), err);
}

bool store_is_defined(struct pt_host *host, const char *name)
{
	return state_exists(host, &state_definitions, name);
}

int store_remove_definition(struct pt_host *host, const char *name, struct pt_error *err)
{
	/* a definition that is gone but starts with the host would be the worse half */
	int r = store_set_autostart(host, name, false, err);

	if (!r)
		r = state_remove(host, &state_definitions, name, err);
	return r ? r : store_remove_devices(host, name, err);
}

bool store_is_autostart(struct pt_host *host, const char *name)
{
	return state_exists(host, &state_autostart, name);
}

int store_set_autostart(struct pt_host *host, const char *name, bool is_on, struct pt_error *err)
{
	return is_on ? state_write(host, &state_autostart, name, "", 0, err)
		     : state_remove(host, &state_autostart, name, err);
}
