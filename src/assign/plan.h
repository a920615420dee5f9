/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Planning in two halves: facts_read() asks the machine, plan_build() is a pure
 * function of facts and request.
 */
#ifndef ASSIGN_PLAN_H
#define ASSIGN_PLAN_H

#include <passthru/group.h>
#include <passthru/holders.h>
#include <passthru/plan.h>

#include "assign/step.h"
#include "base/auto.h"

/* The facts about one requested device that a plan needs. */
struct device_facts {
	struct pt_address address;
	const struct pt_function *function; /* NULL: not there */
	struct binding binding;
	bool has_claim;
	struct pt_claim claim;
	bool is_owner_alive;
	bool is_persisted;
	char vfio_driver[BINDING_NAME]; /* best VFIO driver for it */
	struct pt_reset *reset;		/* NULL where the verb doesn't need it */
	struct pt_holders *holders;	/* NULL for bridges */
	struct pt_group_other *others;	/* of its group, not PCI; only if it is taken */
	size_t other_count;
};

struct facts {
	struct pt_snapshot *snapshot;
	struct pt_claims *claims;
	bool has_iommu; /* some function is in an IOMMU group */
	bool is_root;	/* what root can't see, nobody can */
	struct device_facts *devices;
	size_t count;
};

struct pt_plan {
	struct pt_request request; /* devices, driver, why: own copies below */
	struct pt_address *devices;
	char *driver;
	char *why;

	struct step *steps;
	struct pt_step *public_steps; /* views of steps[], same count */
	size_t step_count;

	struct pt_refusal *refusals;
	size_t refusal_count;
	char **notices;
	size_t notice_count;
};

int facts_read(struct pt_host *host, const struct pt_request *request, struct facts **ret_facts,
	       struct pt_error *err);
void facts_free(struct facts *facts);
AUTO_DEFINE(facts, struct facts *, facts_free)

/* Pure. Fails only without memory; refusals are part of the plan. */
int plan_build(const struct facts *facts, const struct pt_request *request,
	       struct pt_plan **ret_plan, struct pt_error *err);

/* plan_refuse.c: adds every reason against doing @request to @device. */
int plan_refuse(struct pt_plan *plan, const struct facts *facts, const struct device_facts *device);

/* For plan_refuse.c; 0 or -ENOMEM. */
int plan_add_refusal(struct pt_plan *plan, enum pt_reason reason, const struct pt_address *address,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));
int plan_add_notice(struct pt_plan *plan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

bool plan_has_device(const struct pt_plan *plan, const struct pt_address *address);

#endif
