/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between text and tree, for definition.c. */
#ifndef DOMAIN_DEFINITION_TREE_H
#define DOMAIN_DEFINITION_TREE_H

#include <stdbool.h>
#include <stdio.h>

#include <libxml/tree.h>

#include "base/auto.h"
#include "base/error.h"

AUTO_DEFINE(doc, xmlDoc *, xmlFreeDoc)

/* Elements, attributes and texts only; each run of text is one node. */
int tree_parse(const char *text, xmlDoc **ret_doc, struct pt_error *err);

/* As libvirt lays it out: two spaces a level, single quotes. */
void tree_write(FILE *out, const xmlNode *node, int indent);

/* Take out of a <domain> or a device what only a running guest has. */
void tree_drop_live(xmlNode *root);

/* Take the passwords out. */
void tree_drop_secrets(xmlNode *root);

#endif
