/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Security labels: which model the host enforces, and what guests run under. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "daemon/handlers/handlers.h"
#include "daemon/call.h"
#include "daemon/handlers/domain_call.h"
#include "domain/confine/secmodel.h"
#include "domain/confine/selinux.h"

/* A C string as the protocol sends arrays of char: an int each, and the NUL. */
static int put_characters(unsigned int *ret_count, int **ret_characters, const char *text)
{
	size_t count = strlen(text) + 1;
	int *characters = calloc(count, sizeof(*characters));

	if (!characters)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		characters[i] = (unsigned char)text[i];
	*ret_characters = characters;
	*ret_count = (unsigned int)count;
	return 0;
}

static int get_model(struct pt_host *host, struct call *call)
{
	struct rpc_security_model *result = call->result;
	const char *name = secmodel_name(host);

	if (put_characters(&result->model.model_len, &result->model.model_val,
			   name ? name : "none") < 0 ||
	    put_characters(&result->doi.doi_len, &result->doi.doi_val, SECMODEL_DOI) < 0)
		return call_fail_memory(call);
	return 0;
}

/* "" for a guest without a label, or one that doesn't run. -1 when there is no such guest. */
static int read_label(struct pt_host *host, struct call *call, char *label, size_t size,
		      int *ret_is_enforcing)
{
	const struct rpc_domain_args *args = call->args;
	const struct domain *domain = domain_lock_of(call, &args->domain);
	struct guest *guest;

	if (!domain)
		return -1;
	label[0] = '\0';
	guest = domain->guest;
	if (guest) {
		(void)pthread_mutex_lock(&guest->lock);
		if (secmodel_label(guest->live))
			(void)text_copy(label, size, secmodel_label(guest->live));
		*ret_is_enforcing = secmodel_is_enforcing(host, guest->live);
		(void)pthread_mutex_unlock(&guest->lock);
	}
	guests_unlock(guests_of(call));
	return 0;
}

static int get_label(struct pt_host *host, struct call *call)
{
	struct rpc_security_label *result = call->result;
	char label[SELINUX_LABEL];
	int is_enforcing = 0;

	if (read_label(host, call, label, sizeof(label), &is_enforcing) < 0)
		return -1;
	if (!*label)
		return 0;
	result->is_enforcing = is_enforcing;
	if (put_characters(&result->label.label_len, &result->label.label_val, label) < 0)
		return call_fail_memory(call);
	return 0;
}

static int list_labels(struct pt_host *host, struct call *call)
{
	struct rpc_security_labels *result = call->result;
	struct rpc_security_label *only;
	char label[SELINUX_LABEL];
	int is_enforcing = 0;

	if (read_label(host, call, label, sizeof(label), &is_enforcing) < 0)
		return -1;
	if (!*label)
		return 0;
	only = calloc(1, sizeof(*only));
	if (!only)
		return call_fail_memory(call);
	result->labels.labels_val = only;
	result->labels.labels_len = 1;
	result->count = 1;
	only->is_enforcing = is_enforcing;
	if (put_characters(&only->label.label_len, &only->label.label_val, label) < 0)
		return call_fail_memory(call);
	return 0;
}

const struct handler handlers_domain_security[] = {
	{RPC_NODE_GET_SECURITY_MODEL, get_model, HANDLER_QUICK},
	{RPC_DOMAIN_GET_SECURITY_LABEL, get_label, HANDLER_QUICK},
	{RPC_DOMAIN_GET_SECURITY_LABEL_LIST, list_labels, HANDLER_QUICK},
	{0},
};
