/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/secmodel.h"

#include <string.h>

#include "domain/confine/label.h"
#include "domain/confine/profile.h"
#include "domain/confine/selinux.h"

const char *secmodel_name(struct pt_host *host)
{
	if (profile_is_enforced(host))
		return PROFILE_MODEL;
	return selinux_is_loaded(host) ? LABEL_MODEL : NULL;
}

int secmodel_choose(struct pt_host *host, struct definition *live, const struct confine_user *user,
		    struct pt_error *err)
{
	int r = profile_choose(host, live, err);

	return r < 0 ? r : label_choose(host, live, user, err);
}

const char *secmodel_label(const struct definition *live)
{
	const char *label = profile_of(live);

	return label ? label : label_of(live);
}

bool secmodel_is_enforcing(struct pt_host *host, const struct definition *live)
{
	return profile_of(live) || (label_of(live) && selinux_is_enforcing(host));
}

int secmodel_enter(struct pt_host *host, const char *label)
{
	/* a profile's name has no colon, and a label has three of them */
	return strchr(label, ':') ? label_enter(host, label) : profile_enter(host, label);
}
