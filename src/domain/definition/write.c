/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/tree.h"

/*
 * What xml_text() (base/xml.h) doesn't keep: newlines and tabs in attributes, which a parser
 * would turn into spaces. All of it is XML's UTF-8 already, as the parser saw to that.
 */
static void tree_write_text(FILE *out, const xmlChar *text, bool is_attribute)
{
	for (const xmlChar *at = text; at && *at; at++) {
		if (*at == '&')
			(void)fputs("&amp;", out);
		else if (*at == '<')
			(void)fputs("&lt;", out);
		else if (*at == '>')
			(void)fputs("&gt;", out);
		else if (*at == '\'' && is_attribute)
			(void)fputs("&apos;", out);
		else if (*at == '"' && is_attribute)
			(void)fputs("&quot;", out);
		else if (*at == '\r' || (is_attribute && (*at == '\n' || *at == '\t')))
			(void)fprintf(out, "&#%d;", *at);
		else
			(void)fputc(*at, out);
	}
}

static void write_name(FILE *out, const xmlNs *ns, const xmlChar *name)
{
	if (ns && ns->prefix)
		(void)fprintf(out, "%s:", (const char *)ns->prefix);
	(void)fputs((const char *)name, out);
}

static void write_tag(FILE *out, const xmlNode *node)
{
	(void)fputc('<', out);
	write_name(out, node->ns, node->name);
	for (const xmlAttr *at = node->properties; at; at = at->next) {
		(void)fputc(' ', out);
		write_name(out, at->ns, at->name);
		(void)fputs("='", out);
		tree_write_text(out, at->children ? at->children->content : NULL, true);
		(void)fputc('\'', out);
	}
	for (const xmlNs *ns = node->nsDef; ns; ns = ns->next) {
		(void)fprintf(out, " xmlns%s%s='", ns->prefix ? ":" : "",
			      ns->prefix ? (const char *)ns->prefix : "");
		tree_write_text(out, ns->href, true);
		(void)fputc('\'', out);
	}
	(void)fputs(node->children ? ">" : "/>", out);
}

static bool has_text(const xmlNode *node)
{
	for (const xmlNode *child = node->children; child; child = child->next)
		if (child->type == XML_TEXT_NODE)
			return true;
	return false;
}

/* In an element that has text nothing is laid out: spaces are part of it (metadata). */
static void write_node(FILE *out, const xmlNode *node, int indent, bool is_laid_out)
{
	bool lays_out = is_laid_out && !has_text(node);

	if (node->type == XML_TEXT_NODE) {
		tree_write_text(out, node->content, false);
		return;
	}
	(void)fprintf(out, "%*s", is_laid_out ? indent : 0, "");
	write_tag(out, node);
	if (node->children) {
		(void)fputs(lays_out ? "\n" : "", out);
		for (const xmlNode *child = node->children; child; child = child->next)
			write_node(out, child, indent + 2, lays_out);
		(void)fprintf(out, "%*s</", lays_out ? indent : 0, "");
		write_name(out, node->ns, node->name);
		(void)fputc('>', out);
	}
	(void)fputs(is_laid_out ? "\n" : "", out);
}

void tree_write(FILE *out, const xmlNode *node, int indent)
{
	write_node(out, node, indent, true);
}
