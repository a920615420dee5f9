/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/iothreads.h"

#include "base/text.h"
#include "domain/definition/xml_node.h"

bool iothreads_have(const struct iothread *iothreads, size_t count, unsigned int id)
{
	for (size_t i = 0; i < count; i++)
		if (iothreads[i].id == id)
			return true;
	return false;
}

size_t iothreads_read(const xmlNode *domain, struct iothread iothreads[IOTHREADS_MAX])
{
	const xmlNode *at = node_find(domain, "iothreadids/iothread");
	const char *text = node_get(domain, "iothreads");
	uint64_t wanted = 0, id;
	size_t count = 0;

	for (; at && count < IOTHREADS_MAX; at = node_next(at, "iothread"))
		if (node_number(at, "id", UINT32_MAX, &id) == 0)
			iothreads[count++] = (struct iothread){.id = (unsigned int)id, .node = at};
	if (text)
		(void)text_parse_number(text, 10, IOTHREADS_MAX, &wanted);
	for (unsigned int next = 1; count < wanted; next++)
		if (!iothreads_have(iothreads, count, next))
			iothreads[count++] = (struct iothread){.id = next};
	return count;
}
