/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/context.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/auto.h"
#include "daemon/log.h"

AUTO_DEFINE(context, struct context *, context_free)

static unsigned int clients_max(void)
{
	struct rlimit limit;
	rlim_t reserved = CONTEXT_RESERVED_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return CONTEXT_CLIENTS_MAX;
	if (reserved > limit.rlim_cur / 2)
		reserved = limit.rlim_cur / 2;
	if (limit.rlim_cur - reserved > CONTEXT_CLIENTS_MAX)
		return CONTEXT_CLIENTS_MAX;
	return (unsigned int)(limit.rlim_cur - reserved);
}

int context_open_host(const struct context *context, struct pt_host **ret_host,
		      struct pt_error *err)
{
	const struct context_config *config = &context->config;
	int r = pt_host_new(config->root, ret_host, err);

	if (r < 0)
		return r;
	if (config->ops) {
		(*ret_host)->ops = config->ops;
		(*ret_host)->ops_context = config->ops_context;
	}
	(*ret_host)->machine = config->machine;
	pt_host_set_log(*ret_host, log_library, NULL);
	return 0;
}

int context_new(const struct context_config *config, struct context **ret_context,
		struct pt_error *err)
{
	AUTO(auto_context) struct context *context = calloc(1, sizeof(*context));
	int r;

	if (!context)
		return pt_fail_memory(err);
	context->config = *config;
	if (!config->max_clients)
		context->config.max_clients = clients_max();
	if (!config->max_per_user)
		context->config.max_per_user = CONTEXT_CLIENTS_PER_USER;
	if (!config->patience_usec)
		context->config.patience_usec = CONTEXT_PATIENCE_USEC;
	r = sd_event_new(&context->loop);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't create an event loop: %s", strerror(-r));
	r = context_open_host(context, &context->host, err);
	if (r < 0)
		return r;
	*ret_context = TAKE_POINTER(context);
	return 0;
}

void context_free(struct context *context)
{
	if (!context)
		return;
	pt_host_free(context->host);
	sd_event_unref(context->loop);
	free(context);
}
