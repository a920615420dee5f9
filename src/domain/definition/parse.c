/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From text to a tree of elements, attributes and texts, and nothing else. */
#include "domain/definition/tree.h"

#include <string.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include "domain/definition/definition.h"
#include "domain/definition/xml_node.h"

AUTO_DEFINE(parser, xmlParserCtxt *, xmlFreeParserCtxt)

/* A document type is where entities come from, and no definition has one. */
static void refuse_document_type(void *context, const xmlChar *name, const xmlChar *external,
				 const xmlChar *system)
{
	xmlParserCtxt *parser = context;

	(void)name;
	(void)external;
	(void)system;
	parser->_private = parser;
	xmlStopParser(parser);
}

static bool is_blank(const char *text)
{
	return !text[strspn(text, " \t\r\n")];
}

/*
 * Blanks between elements are layout. In metadata, which is not ours, they are kept where they
 * may be text: beside other text, and alone.
 */
static void drop_layout(xmlNode *node, bool is_metadata)
{
	xmlNode *child, *next;

	if (is_metadata && !xmlFirstElementChild(node))
		return;
	for (child = node->children; child; child = child->next)
		if (child->type == XML_TEXT_NODE && !is_blank((const char *)child->content))
			return;
	for (child = node->children; child; child = next) {
		next = child->next;
		if (child->type == XML_TEXT_NODE)
			node_remove(child);
	}
}

/*
 * Comments and processing instructions go, as in libvirt; texts that they parted are joined.
 * The parser bounds the depth (256).
 */
static int tidy(xmlNode *node, bool is_metadata)
{
	xmlNode *child, *next;
	int r = 0;

	for (child = node->children; child && r == 0; child = next) {
		next = child->next;
		if (child->type == XML_ELEMENT_NODE)
			r = tidy(child, is_metadata || node_is(child, "metadata"));
		else if (child->type != XML_TEXT_NODE)
			node_remove(child);
		else if (child->prev && child->prev->type == XML_TEXT_NODE &&
			 !xmlTextMerge(child->prev, child))
			r = -ENOMEM;
	}
	drop_layout(node, is_metadata);
	return r;
}

int tree_parse(const char *text, xmlDoc **ret_doc, struct pt_error *err)
{
	/*
	 * Nothing is fetched; values come without entity references (those five that XML has by
	 * itself are replaced, others can't be declared); limits of size and depth stay on.
	 */
	const int options = XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOCDATA |
			    XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES;
	AUTO(auto_parser) xmlParserCtxt *context = NULL;
	AUTO(auto_doc) xmlDoc *doc = NULL;
	size_t len = strnlen(text, DEFINITION_MAX_TEXT + 1);
	xmlNode *root;

	if (len > DEFINITION_MAX_TEXT)
		return pt_fail(err, PT_INVALID, EINVAL, "the XML is longer than %u bytes",
			       DEFINITION_MAX_TEXT);
	context = xmlNewParserCtxt();
	if (!context)
		return pt_fail_memory(err);
	context->sax->internalSubset = refuse_document_type;
	doc = xmlCtxtReadMemory(context, text, (int)len, NULL, NULL, options);
	if (context->_private)
		return pt_fail(err, PT_INVALID, EOPNOTSUPP,
			       "the XML has a document type (<!DOCTYPE>), which isn't supported");
	if (!doc || !context->wellFormed) {
		const char *why =
			context->lastError.message ? context->lastError.message : "it is empty";

		return pt_fail(err, PT_INVALID, EINVAL, "line %d: invalid XML: %.*s",
			       context->lastError.line, (int)strcspn(why, "\n"), why);
	}
	root = xmlDocGetRootElement(doc);
	if (!root)
		return pt_fail(err, PT_INVALID, EINVAL, "the XML is empty");
	if (tidy(root, false) < 0)
		return pt_fail_memory(err);
	*ret_doc = TAKE_POINTER(doc);
	return 0;
}
